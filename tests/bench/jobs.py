"""What batch costs, and what more workers bring."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx

from tests.bench.figures import Figure, measured, of_pairs
from tests.bench.plan import Plan, served
from tests.bench.stand import Stand, standing
from tests.drill.sender import ENDED, parts, series_uids
from tests.running import resident_bytes

_PARALLEL: Final = 4
_SLICES: Final = 28
_SLEEP_S: Final = 0.2
_JOB: Final = 100
_LOOK_S: Final = 0.2


def measure(plan: Plan) -> Iterator[Figure]:
    """The product as it is; then a stand whose networks are fakes, for what is the batch's alone."""
    yield _against_waiting(plan)
    yield _workers(plan)
    yield from _memory(plan)


def _against_waiting(plan: Plan) -> Figure:
    """The same series as a job, and by waiting calls, four at a time.

    Each job is compared with the calls before and behind it: a machine's clock drifts by more than the bound leaves.
    """
    count = plan.some(16, 4)
    with served() as service, httpx.Client(base_url=service.url, timeout=600) as client:
        _waiting_s(client, count)  # to warm up
        calls, jobs = [_waiting_s(client, count)], []
        for _ in range(plan.some(8, 1)):
            jobs.append(job_s(client, count, _SLICES))
            calls.append(_waiting_s(client, count))
    both = [((before + behind) / 2, job) for before, job, behind in zip(calls, jobs, calls[1:], strict=False)]
    return measured(
        f"series of {_SLICES} slices in a job, of parallel waiting calls",
        "series/s",
        [count / seconds for seconds in jobs],
        ratio=of_pairs(both),
        bound=0.9,
        better="more",
    )


def _waiting_s(client: httpx.Client, series: int) -> float:
    uploads = [list(parts({uid}, _SLICES)) for uid in series_uids(series)]
    begin = time.perf_counter()
    with ThreadPoolExecutor(_PARALLEL) as callers:
        for answer in callers.map(lambda files: client.post("/v1/predictions", files=files), uploads):
            answer.raise_for_status()
    return time.perf_counter() - begin


def job_s(client: httpx.Client, series: int, slices: int) -> float:
    """From the upload to the last report."""
    upload = list(parts(series_uids(series), slices))
    begin = time.perf_counter()
    job = client.post("/v1/jobs", files=upload).raise_for_status().headers["location"]
    while (document := client.get(job).json())["status"] not in ENDED:
        time.sleep(_LOOK_S)
    took = time.perf_counter() - begin
    assert document["counts"]["failed"] == 0, document
    for _ in range(2):
        client.delete(job)
    return took


def _workers(plan: Plan) -> Figure:
    """One worker and then two, where each series waits for a sleeping cnn."""
    count = plan.some(40, 8)
    with standing(_SLEEP_S) as stand, httpx.Client(base_url=stand.url, timeout=600) as client:
        took = []
        for _ in range(2):
            stand.add_worker()
            job_s(client, 8, 1)  # until it works
            time.sleep(5)
            took.append(job_s(client, count, 1))
    one, two = (count / seconds for seconds in took)
    name = "two workers with a fake stage of 200 ms, of one"
    return Figure(name, two, "series/s", ratio=two / one, bound=1.7, better="more")


def _memory(plan: Plan) -> Iterator[Figure]:
    first, then = plan.some((2, 10), (1, 1))
    with standing(0.0) as stand, httpx.Client(base_url=stand.url, timeout=600) as client:
        stand.add_worker()
        _jobs(client, first)
        before = _resident(stand)
        _jobs(client, then)
        after = _resident(stand)
    for name in before:
        if name == "gateway" or name.startswith("worker"):
            grown = (after[name] - before[name]) / 2**20 / (then * _JOB) * 1000
            yield Figure(f"{name.split()[0]}: grown per 1,000 series, after {first * _JOB}", grown, "MB", bound=2.0)


def _jobs(client: httpx.Client, jobs: int) -> None:
    for _ in range(jobs):
        job_s(client, _JOB, 1)


def _resident(stand: Stand) -> dict[str, int]:
    return {name: resident_bytes(process.pid) for name, process in stand.processes.items()}

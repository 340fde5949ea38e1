"""Throughput of jobs, speed-up by a second worker, and memory growth."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx

from tests.bench.fake_stages import FakeProduct, product_with_fake_networks
from tests.bench.figures import Figure, measured, median_ratio
from tests.bench.plan import Plan, product
from tests.drill.sender import ENDED, parts, series_uids
from tests.running import resident_bytes

_PARALLEL: Final = 4
_SLICES: Final = 28
_SLEEP_S: Final = 0.2
_JOB: Final = 100
_POLL_S: Final = 0.2


def measure(plan: Plan) -> Iterator[Figure]:
    """Measure the product, then one with fake networks, whose time is that of jobs alone."""
    yield _against_synchronous(plan)
    yield _workers(plan)
    yield from _memory(plan)


def _against_synchronous(plan: Plan) -> Figure:
    """The same series as a job, and as synchronous requests, four at a time.

    Each job is compared with the requests before and after it: the clock rate drifts by more than the bound allows.
    """
    count = plan.choose(16, 4)
    with product() as service, httpx.Client(base_url=service.url, timeout=600) as client:
        _synchronous_s(client, count)  # warm-up
        calls, jobs = [_synchronous_s(client, count)], []
        for _ in range(plan.choose(8, 1)):
            jobs.append(job_s(client, count, _SLICES))
            calls.append(_synchronous_s(client, count))
    both = [((before + after) / 2, job) for before, job, after in zip(calls, jobs, calls[1:], strict=False)]
    return measured(
        f"series of {_SLICES} slices in a job, of parallel synchronous requests",
        "series/s",
        [count / seconds for seconds in jobs],
        ratio=median_ratio(both),
        bound=0.9,
        better="more",
    )


def _synchronous_s(client: httpx.Client, series: int) -> float:
    uploads = [list(parts({uid}, _SLICES)) for uid in series_uids(series)]
    begin = time.perf_counter()
    with ThreadPoolExecutor(_PARALLEL) as callers:
        for answer in callers.map(lambda files: client.post("/v1/predictions", files=files), uploads):
            answer.raise_for_status()
    return time.perf_counter() - begin


def job_s(client: httpx.Client, series: int, slices: int) -> float:
    """Seconds from the upload to the last report."""
    upload = list(parts(series_uids(series), slices))
    begin = time.perf_counter()
    job = client.post("/v1/jobs", files=upload).raise_for_status().headers["location"]
    while (document := client.get(job).json())["status"] not in ENDED:
        time.sleep(_POLL_S)
    took = time.perf_counter() - begin
    assert document["counts"]["failed"] == 0, document
    for _ in range(2):
        client.delete(job)
    return took


def _workers(plan: Plan) -> Figure:
    """One worker and then two; each series waits for a fake network."""
    count = plan.choose(40, 8)
    with product_with_fake_networks(_SLEEP_S) as product, httpx.Client(base_url=product.url, timeout=600) as client:
        took = []
        for _ in range(2):
            product.add_worker()
            job_s(client, 8, 1)  # warm-up
            time.sleep(5)
            took.append(job_s(client, count, 1))
    one, two = (count / seconds for seconds in took)
    name = "two workers with a fake stage of 200 ms, of one"
    return Figure(name, two, "series/s", ratio=two / one, bound=1.7, better="more")


def _memory(plan: Plan) -> Iterator[Figure]:
    first, then = plan.choose((2, 10), (1, 1))
    with product_with_fake_networks(0.0) as product, httpx.Client(base_url=product.url, timeout=600) as client:
        product.add_worker()
        _jobs(client, first)
        before = _resident(product)
        _jobs(client, then)
        after = _resident(product)
    for name in before:
        if name == "gateway" or name.startswith("worker"):
            grown = (after[name] - before[name]) / 2**20 / (then * _JOB) * 1000
            yield Figure(f"{name.split()[0]}: grown per 1,000 series, after {first * _JOB}", grown, "MB", bound=2.0)


def _jobs(client: httpx.Client, jobs: int) -> None:
    for _ in range(jobs):
        job_s(client, _JOB, 1)


def _resident(product: FakeProduct) -> dict[str, int]:
    return {name: resident_bytes(process.pid) for name, process in product.processes.items()}

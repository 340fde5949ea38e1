"""`make bench`: what batch costs, and what more workers bring. Prints each figure with its bound.

A ratio compares two ways of the same run, taken in turns; seconds of a machine that is shared mean nothing.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from tests.bench.stand import Stand, standing
from tests.drill.sender import ENDED, parts, series_uids
from tests.running import resident_bytes, running_service

_PARALLEL: Final = 4
_ROUNDS: Final = 3
_SERIES: Final = 12
_SLICES: Final = 28
_SLEEP_S: Final = 0.2
_SLEPT: Final = 40
_JOB: Final = 100
_FIRST: Final = 200


@dataclass(frozen=True)
class Figure:
    """A figure and its bound, the least that it should be or the most."""

    name: str
    value: float
    least: float | None = None
    most: float | None = None

    def __str__(self) -> str:
        good = (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)
        bound = f"at least {self.least}" if self.most is None else f"at most {self.most}"
        return f"{self.name:66}{self.value:8.2f}   {bound}{'' if good else '   <- missed'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print as it goes."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.jobs", description=__doc__)
    parser.add_argument("--series", type=int, default=1000, help="after the first 200, for memory (%(default)s)")
    series = parser.parse_args(arguments).series
    for figures in (_against_waiting(), _workers(), _memory(series)):
        for figure in figures:
            print(figure, flush=True)
    return 0


def _against_waiting() -> Iterator[Figure]:
    """The product as `make run` starts it: the same series by waiting calls, four at a time, and as a job."""
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder) / "log") as service:
        ratios = []
        for _ in range(_ROUNDS + 1):  # the first is for warming up
            with httpx.Client(base_url=service.url, timeout=600) as client:
                ratios.append(_waiting_s(client) / _job_s(client, _SERIES, _SLICES))
        yield Figure("batch throughput, of that of parallel waiting calls", statistics.median(ratios[1:]), least=0.9)


def _waiting_s(client: httpx.Client) -> float:
    uploads = [list(parts({uid}, _SLICES)) for uid in series_uids(_SERIES)]
    begin = time.perf_counter()
    with ThreadPoolExecutor(_PARALLEL) as callers:
        for answer in callers.map(lambda files: client.post("/v1/predictions", files=files), uploads):
            answer.raise_for_status()
    return time.perf_counter() - begin


def _job_s(client: httpx.Client, series: int, slices: int) -> float:
    """From the upload to the last report."""
    upload = list(parts(series_uids(series), slices))
    begin = time.perf_counter()
    job = client.post("/v1/jobs", files=upload).raise_for_status().headers["location"]
    while (document := client.get(job).json())["status"] not in ENDED:
        time.sleep(0.05)
    took = time.perf_counter() - begin
    assert document["counts"]["failed"] == 0, document
    for _ in range(2):
        client.delete(job)
    return took


def _workers() -> Iterator[Figure]:
    """One worker and then two, where each series waits for a sleeping cnn."""
    with standing(_SLEEP_S) as stand, httpx.Client(base_url=stand.url, timeout=600) as client:
        took = []
        for _ in range(2):
            stand.add_worker()
            _job_s(client, 8, 1)  # until it works
            time.sleep(5)
            took.append(_job_s(client, _SLEPT, 1))
        yield Figure("two workers with a fake stage of 200 ms, of one", took[0] / took[1], least=1.7)


def _memory(series: int) -> Iterator[Figure]:
    with standing(0.0) as stand, httpx.Client(base_url=stand.url, timeout=600) as client:
        stand.add_worker()
        _jobs(client, _FIRST)
        before = _resident(stand)
        _jobs(client, series)
        after = _resident(stand)
    for name in before:
        if name == "gateway" or name.startswith("worker"):
            grown = (after[name] - before[name]) / 2**20 / series * 1000
            yield Figure(f"{name.split()[0]}: MB grown per 1,000 series, over {series}", grown, most=2.0)


def _jobs(client: httpx.Client, series: int) -> None:
    for _ in range(series // _JOB):
        _job_s(client, _JOB, 1)


def _resident(stand: Stand) -> dict[str, int]:
    return {name: resident_bytes(process.pid) for name, process in stand.processes.items()}


if __name__ == "__main__":
    sys.exit(main())

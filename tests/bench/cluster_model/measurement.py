"""Measurements of the running product: service times, and closed loads that the simulation is checked against."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Final

import httpx

from tests.bench.clients import fresh, upload
from tests.bench.cluster_model.cluster import Cluster, Shape
from tests.bench.cluster_model.times import ServiceTimes, Work
from tests.bench.plan import machine, study
from tests.bench.replicated_product import ReplicatedProduct
from tests.drill.sender import ENDED

POLL_S: Final = 0.1
CHUNK: Final = 16
PARTS: Final = ("gateway", "worker", "preprocess", "cnn", "rnn")
SIZES: Final = (8, 48)  # slices: one chunk, and three; so that the fixed part of a chunk shows
CORES: Final = float(os.cpu_count() or 1)


@dataclass(frozen=True)
class Load:
    """A measured load.

    turnaround_s : of each job, from the begin of its upload to its last report
    cpu_s : processor time by part
    cores : that were left for the parts of the simulation, on average; clients, Redis and others had the rest
    """

    turnaround_s: Sequence[float]
    seconds: float
    cpu_s: Mapping[str, float]
    cores: float

    @property
    def jobs_per_s(self) -> float:
        """Throughput."""
        return len(self.turnaround_s) / self.seconds


def measure_load(product: ReplicatedProduct, clients: Sequence[Sequence[int]]) -> Load:
    """Clients that each send their next job, of so many slices, when the last one has ended."""
    bodies = {slices: study(slices) for slices in {count for counts in clients for count in counts}}
    with _observed(product) as used, ThreadPoolExecutor(len(clients)) as pool:
        begin = time.perf_counter()
        turns = list(pool.map(lambda counts: _client(product, bodies, counts), clients))
        seconds = time.perf_counter() - begin
    cpu_s, cores = used()
    return Load([each for turn in turns for each in turn], seconds, cpu_s, cores)


def _client(
    product: ReplicatedProduct, bodies: Mapping[int, Mapping[str, bytes]], counts: Sequence[int]
) -> list[float]:
    with httpx.Client(base_url=product.url, timeout=600) as client:
        return [_job_s(client, product.ports["gateway"], bodies[slices]) for slices in counts]


def _job_s(client: httpx.Client, port: int, files: Mapping[str, bytes]) -> float:
    """Seconds from the begin of the upload to the job's end, as the job states it."""
    call = fresh(upload(port, files, "/v1/jobs"))
    begin = time.time()
    job = client.post(call.path, content=call.body, headers=call.headers).raise_for_status().headers["location"]
    while (document := client.get(job).json())["status"] not in ENDED:
        time.sleep(POLL_S)
    assert document["counts"]["assessed"] == 1, document
    return datetime.fromisoformat(document["ended"]).timestamp() - begin


@contextmanager
def _observed(product: ReplicatedProduct) -> Iterator[Callable[[], tuple[dict[str, float], float]]]:
    """Processor time of the product, and the cores that all others left, while the context runs."""
    before, busy, begin = product.cpu_s(), _busy_s(), time.perf_counter()
    found: list[tuple[dict[str, float], float]] = []
    yield lambda: found[0]
    seconds, used = time.perf_counter() - begin, product.cpu_s()
    cpu_s = {name: used[name] - before[name] for name in used}
    others = _busy_s() - busy - sum(cpu_s[name] for name in PARTS)
    found.append((cpu_s, max(CORES - max(others, 0.0) / seconds, 0.1)))


def _busy_s() -> float:
    """Processor time of all processes of this machine since its start, with that of other guests."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = map(float, fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def measure_times(product: ReplicatedProduct, repeats: int) -> ServiceTimes:
    """Service times from jobs of two sizes, one at a time."""
    measure_load(product, [SIZES])  # warm-up
    loads = {slices: measure_load(product, [[slices] * repeats]) for slices in SIZES}
    per_job = {slices: {name: cpu / repeats for name, cpu in load.cpu_s.items()} for slices, load in loads.items()}

    def fitted(name: str, threads: float, *, chunks: bool) -> Work:
        small, large = (per_job[slices][name] for slices in SIZES)
        return Work(*fit(small, large, chunks=chunks), threads)

    times = ServiceTimes(
        gateway=fitted("gateway", 1, chunks=False),
        worker=fitted("worker", 1, chunks=False),
        preprocess=fitted("preprocess", CORES, chunks=True),
        cnn=fitted("cnn", CORES, chunks=True),
        rnn=fitted("rnn", 1, chunks=False),
        idle_s=0.0,
        origin=f"{datetime.now(UTC).date()}, {machine()}",
    )
    return replace(times, idle_s=_idle_s(times, loads))


def fit(small: float, large: float, *, chunks: bool) -> tuple[float, float]:
    """The fixed and the linear part of core-seconds of the two sizes; neither is negative.

    Parameters
    ----------
    chunks : whether the fixed part is that of a chunk, not of a job
    """
    first, second = ((ceil(slices / CHUNK) if chunks else 1, slices) for slices in SIZES)
    determinant = first[0] * second[1] - second[0] * first[1]
    base = (small * second[1] - large * first[1]) / determinant
    if base < 0:
        return 0.0, large / second[1]
    return base, max((large - base * second[0]) / second[1], 0.0)


def _idle_s(times: ServiceTimes, loads: Mapping[int, Load]) -> float:
    """Seconds of an unloaded job that the simulation does not explain."""
    waits = []
    for slices, load in loads.items():
        shape = Shape(shared_cores=load.cores, cnn_cores=CORES, preprocess_cores=CORES)
        (simulated,) = Cluster(shape, times).run_closed([[slices]]).turnaround_s
        waits.append(statistics.median(load.turnaround_s) - simulated)
    return max(statistics.median(waits), 0.0)

"""Scaling: time by slices of a series, and by series of a job. Both should be linear."""

import statistics
from collections.abc import Iterator, Mapping
from typing import Final

import httpx

from tests.bench.clients import took_s, upload
from tests.bench.figures import Curve, Figure
from tests.bench.jobs import job_s
from tests.bench.plan import Plan, product
from tests.running import Service
from tests.scans import series

_LENGTHS: Final = (1, 2, 4, 8, 16, 34, 64, 100, 150, 200, 300)
_JOBS: Final = (1, 30, 100, 300)


def measure(plan: Plan) -> Iterator[Figure | Curve]:
    """Measure the product with default settings."""
    with product() as service:
        yield from _line("a series", "slice", _series(plan, service))
        yield from _line("a job of series of 2 slices", "series", _jobs(plan, service))


def _series(plan: Plan, service: Service) -> dict[int, float]:
    """Seconds by number of slices; the first round is a warm-up."""
    port = service.ports["gateway"]
    calls = {count: upload(port, series(count)) for count in plan.choose(_LENGTHS, (1, 8, 34))}
    rounds = [{count: took_s(call) for count, call in calls.items()} for _ in range(plan.choose(3, 2))][1:]
    return {count: statistics.median(took[count] for took in rounds) for count in calls}


def _jobs(plan: Plan, service: Service) -> dict[int, float]:
    """Seconds by number of series."""
    with httpx.Client(base_url=service.url, timeout=600) as client:
        job_s(client, 4, 2)
        return {count: job_s(client, count, 2) for count in plan.choose(_JOBS, (1, 4, 10))}


def _line(of: str, unit: str, seconds: Mapping[int, float]) -> Iterator[Figure | Curve]:
    """Slope and fit of the line, and the cost of one item at the two largest sizes."""
    slope, start = statistics.linear_regression(list(seconds), list(seconds.values()))
    fit = statistics.correlation(list(seconds), list(seconds.values())) ** 2
    *_, middle, most = seconds
    yield Figure(f"{of}: slope", slope * 1e3, f"ms/{unit}")
    yield Figure(f"{of}: start of the line", start * 1e3, "ms")
    yield Figure(f"{of}: fit of the line (R squared)", fit, "of 1", ratio=fit, better="more")
    each = {count: seconds[count] / count for count in (middle, most)}
    name = f"{of}: one {unit} of {most} against one of {middle}"
    yield Figure(name, each[most] * 1e3, "ms", ratio=each[most] / each[middle])
    fitted = [(count, start + slope * count) for count in (min(seconds), max(seconds))]
    yield Curve(
        of, unit if unit.endswith("s") else f"{unit}s", "s", {"measured": list(seconds.items()), "line": fitted}
    )

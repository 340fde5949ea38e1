"""Start: seconds and core seconds from supervisor's start until the gateway is ready, with cached engines."""

from collections.abc import Iterator
from time import perf_counter
from typing import Final

from tests.bench.figures import Figure, measured
from tests.bench.plan import Plan, product
from tests.running import cpu_s

_READY_S: Final = 6.0


def measure(plan: Plan) -> Iterator[Figure]:
    """Measure starts after a first one, which caches the choice of engines and the pages of files."""
    starts = [_start() for _ in range(plan.choose(6, 2))][1:]
    yield measured("ready, with a cached choice of engines", "s", [wall_s for wall_s, _ in starts], bound=_READY_S)
    yield measured("processor time until ready", "core-s", [core_s for _, core_s in starts])


def _start() -> tuple[float, float]:
    begin = perf_counter()
    with product() as service:
        return perf_counter() - begin, cpu_s(service.supervisor)

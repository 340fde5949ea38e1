"""Load: throughput, latency, refusals and memory growth with many concurrent clients."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

from services.gateway.settings import Settings
from tests.bench.clients import Call, Outcome, post, post_for, upload
from tests.bench.figures import Curve, Figure, measured, median_ratio
from tests.bench.plan import Plan, product, separate_process
from tests.running import NAMES, Service, resident_bytes
from tests.scans import ct_slice, series

_CLIENTS: Final = (1, 4, 16, 64)
_RAMP: Final = 0.25  # part of a run without a full queue; its latencies are not counted
_MB: Final = 2**20


@dataclass(frozen=True)
class _Level:
    """Results of one number of clients, over several rounds."""

    clients: int
    rates: Sequence[float]  # successful requests per second, by round
    p50_s: float
    p99_s: float
    refused: int
    errors: int

    @property
    def rate(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.rates)


def measure(plan: Plan) -> Iterator[Figure | Curve]:
    """Measure the product with default settings."""
    with product() as service, separate_process() as process:
        port = service.ports["gateway"]
        slice_call, series_call = upload(port, {"one.dcm": ct_slice()}), upload(port, series(34))
        yield from _load(plan, process, "one slice", 1, slice_call)
        yield from _load(plan, process, "34 slices", 34, series_call)
        yield from _memory(plan, service, process, slice_call)


def _load(plan: Plan, process: ProcessPoolExecutor, kind: str, slices: int, call: Call) -> Iterator[Figure | Curve]:
    """Each round has all levels: the clock rate drifts by more than the bound allows."""
    rounds, seconds = plan.choose((5, 5.0) if slices == 1 else (3, 16.0), (1, 4.0))
    found: dict[int, list[list[Outcome]]] = {clients: [] for clients in plan.choose(_CLIENTS, _CLIENTS[:2])}
    post(call, each=2)
    for _ in range(rounds):
        for clients, runs in found.items():
            runs.append(process.submit(post_for, call, clients, seconds).result())
    levels = [_level(clients, seconds, runs) for clients, runs in found.items()]
    for level in levels:
        yield from _figures(kind, slices, level)
    best, last = max(levels, key=lambda level: level.rate), levels[-1]
    yield measured(
        f"{kind}, {last.clients} clients: throughput, of its best",
        "requests/s",
        last.rates,
        ratio=median_ratio(zip(last.rates, best.rates, strict=True)),
        bound=0.95,
        better="more",
    )
    yield Curve(f"{kind}: throughput", "clients", "requests/s", {"": _points(levels, "rate")}, doubling=True)
    waits = {"p50": _points(levels, "p50_s"), "p99": _points(levels, "p99_s")}
    yield Curve(f"{kind}: how long it takes", "clients", "s", waits, doubling=True)


def _points(levels: Sequence[_Level], member: str) -> list[tuple[float, float]]:
    return [(level.clients, getattr(level, member)) for level in levels]


def _level(clients: int, seconds: float, runs: Sequence[Sequence[Outcome]]) -> _Level:
    answers = [answer for run in runs for answer in run]
    took = sorted(each for run in runs for each in _took(run, seconds))
    return _Level(
        clients=clients,
        rates=[_rate(run) for run in runs],
        p50_s=took[len(took) // 2],
        p99_s=took[math.ceil(0.99 * len(took)) - 1],
        refused=sum(answer.refused for answer in answers),
        errors=sum(not answer.ok and not answer.refused for answer in answers),
    )


def _rate(run: Sequence[Outcome]) -> float:
    """Successful requests per second, until the last response."""
    ends = [answer.end_s for answer in run if answer.ok]
    assert ends, "no request succeeded"
    return len(ends) / (max(ends) - min(answer.begin_s for answer in run))


def _took(run: Sequence[Outcome], seconds: float) -> list[float]:
    """Latencies of the requests after the ramp; of all requests where there is none."""
    queued_s = min(answer.begin_s for answer in run) + _RAMP * seconds
    good = [answer for answer in run if answer.ok]
    return [answer.took_s for answer in good if answer.begin_s > queued_s] or [answer.took_s for answer in good]


def _figures(kind: str, slices: int, level: _Level) -> Iterator[Figure]:
    name = f"{kind}, {level.clients} clients"
    yield measured(f"{name}: throughput", "requests/s", level.rates, better="more")
    yield Figure(f"{name}: p50", level.p50_s * 1e3, "ms")
    most_s = (Settings.model_fields["max_slices_in_flight"].default + slices) / (level.rate * slices)
    yield Figure(
        f"{name}: p99, against a full queue's time",
        level.p99_s * 1e3,
        "ms",
        ratio=level.p99_s / most_s,
        bound=1.2 if level.clients == _CLIENTS[-1] else None,
    )
    yield Figure(f"{name}: refused with Retry-After", level.refused, "requests")
    yield Figure(f"{name}: other errors", level.errors, "requests", bound=0)


def _memory(plan: Plan, service: Service, process: ProcessPoolExecutor, call: Call) -> Iterator[Figure]:
    """Memory growth with four clients."""
    first, then = plan.choose((50, 250), (2, 5))
    process.submit(post, call, 4, each=first).result()
    before = _resident(service)
    process.submit(post, call, 4, each=then).result()
    for name, now in _resident(service).items():
        grown = (now - before[name]) / _MB / (4 * then) * 1000
        yield Figure(f"{name}: grown per 1,000 requests, after {4 * first}", grown, "MB", bound=2.0)


def _resident(service: Service) -> Mapping[str, int]:
    return {name: resident_bytes(service.process(name)) for name in NAMES}

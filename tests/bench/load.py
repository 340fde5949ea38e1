"""Many clients at once: how much gets through, how long it takes, what is refused, and what memory is left behind."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

from services.gateway.settings import Settings
from tests.bench.clients import Answered, Call, post, post_for, upload
from tests.bench.figures import Curve, Figure, measured, of_pairs
from tests.bench.plan import Plan, apart, served
from tests.running import Service, resident_bytes
from tests.scans import ct_slice, series

_CLIENTS: Final = (1, 4, 16, 64)
_RAMP: Final = 0.25  # of the time: what began in it found no queue yet, and its time is not counted
_MB: Final = 2**20


@dataclass(frozen=True)
class _Level:
    """What so many clients found, in several rounds."""

    clients: int
    rates: Sequence[float]  # requests that were answered, in a second, by round
    p50_s: float
    p99_s: float
    refused: int
    errors: int

    @property
    def rate(self) -> float:
        """The median."""
        return statistics.median(self.rates)


def measure(plan: Plan) -> Iterator[Figure | Curve]:
    """The product with all its defaults."""
    with served() as service, apart() as process:
        port = service.ports["gateway"]
        slice_call, series_call = upload(port, {"one.dcm": ct_slice()}), upload(port, series(34))
        yield from _load(plan, process, "one slice", 1, slice_call)
        yield from _load(plan, process, "34 slices", 34, series_call)
        yield from _memory(plan, service, process, slice_call)


def _load(plan: Plan, process: ProcessPoolExecutor, kind: str, slices: int, call: Call) -> Iterator[Figure | Curve]:
    """All levels in each round, since a machine's clock drifts by more than the bound leaves."""
    rounds, seconds = plan.some((6, 6.0) if slices == 1 else (4, 24.0), (1, 4.0))
    found: dict[int, list[list[Answered]]] = {clients: [] for clients in plan.some(_CLIENTS, _CLIENTS[:2])}
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
        ratio=of_pairs(zip(last.rates, best.rates, strict=True)),
        bound=0.95,
        better="more",
    )
    yield Curve(f"{kind}: throughput", "clients", "requests/s", {"": _points(levels, "rate")}, doubling=True)
    waits = {"p50": _points(levels, "p50_s"), "p99": _points(levels, "p99_s")}
    yield Curve(f"{kind}: how long it takes", "clients", "s", waits, doubling=True)


def _points(levels: Sequence[_Level], member: str) -> list[tuple[float, float]]:
    return [(level.clients, getattr(level, member)) for level in levels]


def _level(clients: int, seconds: float, runs: Sequence[Sequence[Answered]]) -> _Level:
    answers = [answer for run in runs for answer in run]
    took = sorted(each for run in runs for each in _took(run, seconds))
    return _Level(
        clients=clients,
        rates=[_rate(run) for run in runs],
        p50_s=took[len(took) // 2],
        p99_s=took[math.ceil(0.99 * len(took)) - 1],
        refused=sum(answer.refused for answer in answers),
        errors=sum(not answer.good and not answer.refused for answer in answers),
    )


def _rate(run: Sequence[Answered]) -> float:
    """Until the last answer: what was under way when the clients stopped has kept everything as busy as before."""
    ends = [answer.end_s for answer in run if answer.good]
    assert ends, "not one request was answered"
    return len(ends) / (max(ends) - min(answer.begin_s for answer in run))


def _took(run: Sequence[Answered], seconds: float) -> list[float]:
    """How long each request took that found a queue, as all do after the ramp; all of them where none did."""
    queued_s = min(answer.begin_s for answer in run) + _RAMP * seconds
    good = [answer for answer in run if answer.good]
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
    """Four clients, for the time's sake."""
    first, then = plan.some((50, 250), (2, 5))
    process.submit(post, call, 4, each=first).result()
    before = _resident(service)
    process.submit(post, call, 4, each=then).result()
    for name, now in _resident(service).items():
        grown = (now - before[name]) / _MB / (4 * then) * 1000
        yield Figure(f"{name}: grown per 1,000 requests, after {4 * first}", grown, "MB", bound=2.0)


def _resident(service: Service) -> Mapping[str, int]:
    return {name: resident_bytes(service.process(name)) for name in service.ports}

"""Many clients at once: how much gets through, how long it takes, what is refused, and what memory is left behind."""

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

from services.gateway.settings import Settings
from tests.bench.clients import Answered, Call, post, post_for, upload
from tests.bench.figures import Curve, Figure
from tests.bench.plan import Plan, apart, served
from tests.running import Service, resident_bytes
from tests.scans import ct_slice, series

_CLIENTS: Final = (1, 4, 16, 64)
_RAMP: Final = 0.25  # of the time: what began in it found no queue yet, and its time is not counted
_MB: Final = 2**20


@dataclass(frozen=True)
class _Level:
    """What so many clients found."""

    clients: int
    rate: float  # requests that were answered, in a second
    p50_s: float
    p99_s: float
    refused: int
    errors: int


def measure(plan: Plan) -> Iterator[Figure | Curve]:
    """The product with all its defaults."""
    with served() as service, apart() as process:
        port = service.ports["gateway"]
        slice_call, series_call = upload(port, {"one.dcm": ct_slice()}), upload(port, series(34))
        yield from _load(plan, process, "one slice", 1, slice_call)
        yield from _load(plan, process, "34 slices", 34, series_call)
        yield from _memory(plan, service, process, slice_call)


def _load(plan: Plan, process: ProcessPoolExecutor, kind: str, slices: int, call: Call) -> Iterator[Figure | Curve]:
    seconds = plan.some(15.0 if slices == 1 else 36.0, 4.0)
    levels = []
    post(call, each=2)
    for clients in plan.some(_CLIENTS, _CLIENTS[:2]):
        levels.append(_level(clients, seconds, process.submit(post_for, call, clients, seconds).result()))
        yield from _figures(kind, slices, levels[-1])
    best, last = max(level.rate for level in levels), levels[-1]
    yield Figure(
        f"{kind}, {last.clients} clients: throughput, of its best",
        last.rate,
        "requests/s",
        ratio=last.rate / best,
        bound=0.95,
        better="more",
    )
    yield Curve(f"{kind}: throughput", "clients", "requests/s", {"": _points(levels, "rate")}, doubling=True)
    waits = {"p50": _points(levels, "p50_s"), "p99": _points(levels, "p99_s")}
    yield Curve(f"{kind}: how long it takes", "clients", "s", waits, doubling=True)


def _points(levels: Sequence[_Level], member: str) -> list[tuple[float, float]]:
    return [(level.clients, getattr(level, member)) for level in levels]


def _level(clients: int, seconds: float, answers: Sequence[Answered]) -> _Level:
    """Until the last answer: what was under way when the clients stopped has kept everything as busy as before."""
    begin = min(answer.begin_s for answer in answers)
    good = [answer for answer in answers if answer.good]
    assert good, "not one request was answered"
    took = sorted(answer.took_s for answer in good if answer.begin_s > begin + _RAMP * seconds)
    took = took or sorted(answer.took_s for answer in good)
    return _Level(
        clients=clients,
        rate=len(good) / (max(answer.end_s for answer in good) - begin),
        p50_s=took[len(took) // 2],
        p99_s=took[math.ceil(0.99 * len(took)) - 1],
        refused=sum(answer.refused for answer in answers),
        errors=sum(not answer.good and not answer.refused for answer in answers),
    )


def _figures(kind: str, slices: int, level: _Level) -> Iterator[Figure]:
    name = f"{kind}, {level.clients} clients"
    yield Figure(f"{name}: throughput", level.rate, "requests/s", better="more")
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

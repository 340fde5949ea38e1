"""Ways to assess a study: a running product, or one Python process. They are measured in turns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any, Final, NamedTuple

import httpx
import numpy as np
from numpy.typing import NDArray

from services.common.labels import LABELS
from tests.bench import one_process
from tests.bench.clients import Call, fresh, took_s, upload
from tests.bench.costs import Cost, measured_cost
from tests.bench.plan import DEFAULT_BUNDLE, separate_process
from tests.running import Service, cpu_s

Answer = NDArray[np.float32]
_TIMEOUT_S: Final = 300
_STUDIES: Final = 3  # in a turn: the kernel counts a process's time in steps of 10 ms


class Turn(NamedTuple):
    """The mean cost of a study, and core seconds by program where the way is a product."""

    cost: Cost
    programs: Mapping[str, float]


@dataclass
class Way:
    """A way to assess a study.

    answer : (n + 1, 6), the probabilities of each slice, then those of the series
    """

    name: str
    answer: Answer
    assess: Callable[[], Turn]
    turns: list[Turn] = field(default_factory=list)

    @property
    def wall_ms(self) -> list[float]:
        """Milliseconds of each turn."""
        return [turn.cost.wall_s * 1e3 for turn in self.turns]

    @property
    def core_ms(self) -> list[float]:
        """Core milliseconds of each turn."""
        return [turn.cost.cpu_s * 1e3 for turn in self.turns]

    @property
    def energy_j(self) -> list[float]:
        """Joules of each turn; empty where RAPL is not readable."""
        return [turn.cost.energy_j for turn in self.turns if turn.cost.energy_j is not None]

    @property
    def programs(self) -> dict[str, list[float]]:
        """Core milliseconds of each turn by program."""
        names = self.turns[0].programs
        return {name: [turn.programs[name] * 1e3 for turn in self.turns] for name in names}


def in_turns(ways: Sequence[Way], rounds: int) -> None:
    """Measure all ways in each round, after a round of warm-up."""
    for number in range(rounds + 1):
        for way in ways:
            turn = way.assess()
            way.turns += [turn] if number else []


def by_product(name: str, service: Service, files: Mapping[str, bytes]) -> Way:
    """The running product, which counts all its processes."""
    call = upload(service.ports["gateway"], files)
    response = httpx.post(f"{service.url}{call.path}", content=call.body, headers=call.headers, timeout=_TIMEOUT_S)
    return Way(name, _probabilities(response.raise_for_status().json()), partial(_product_turn, service, call))


def _product_turn(service: Service, call: Call) -> Turn:
    calls = iter([fresh(call) for _ in range(_STUDIES)])
    programs = service.programs()
    before = _core_s(programs)
    cost = _cost(lambda: took_s(next(calls)), partial(cpu_s, service.supervisor))
    return Turn(cost, {name: (after - before[name]) / _STUDIES for name, after in _core_s(programs).items()})


def _cost(assess: Callable[[], object], cpu: Callable[[], float]) -> Cost:
    """The mean cost of a study."""
    cost = measured_cost(lambda: [assess() for _ in range(_STUDIES)], cpu)
    energy_j = None if cost.energy_j is None else cost.energy_j / _STUDIES
    return Cost(cost.wall_s / _STUDIES, cost.cpu_s / _STUDIES, energy_j)


def _core_s(programs: Mapping[str, Sequence[int]]) -> dict[str, float]:
    return {name: sum(map(cpu_s, processes)) for name, processes in programs.items()}


def _probabilities(report: Any) -> Answer:
    assert report["status"] == "assessed", report["reasons"]
    rows = [*report["slices"], report["series"]]
    return np.array([[row["probabilities"][label] for label in LABELS] for row in rows], np.float32)


@contextmanager
def by_one_process(engine: str, paths: Sequence[Path]) -> Iterator[Way]:
    """One Python process, whose networks stay loaded."""
    with separate_process() as process:
        answer = process.submit(one_process.assess, DEFAULT_BUNDLE, engine, paths).result()
        yield Way(f"one process ({engine})", answer, lambda: process.submit(_one_process_turn, engine, paths).result())


def _one_process_turn(engine: str, paths: Sequence[Path]) -> Turn:
    return Turn(_cost(partial(one_process.assess, DEFAULT_BUNDLE, engine, paths), process_time), {})

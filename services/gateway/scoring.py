"""Features to scores: the only tensors that the gateway opens."""

import asyncio
import math
from array import array
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

from services.common.labels import LABELS
from services.common.tensors import Message, Tensor
from services.gateway.stage_client import StageClient, StageFailed, StageResponse

T = TypeVar("T")

_FLOAT_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Scores:
    """Probabilities in the order of LABELS: one row a slice, and one for the series where the slices are one."""

    slices: tuple[tuple[float, ...], ...]
    series: tuple[float, ...] | None
    card_sha256: str


@dataclass(frozen=True, slots=True)
class Features:
    """Features as they travel: `data` is float32, a row of `width` for each slice, made by the bundle of that card."""

    data: bytes
    width: int
    card_sha256: str

    @classmethod
    def joined(cls, tensors: Sequence[Tensor], card_sha256: str) -> Self:
        """Of several chunks, one after the other."""
        return cls(b"".join(tensor.buffer for tensor in tensors), tensors[0].shape[1], card_sha256)

    def rows(self) -> Iterable["Features"]:
        """Each slice's features alone."""
        size = _FLOAT_BYTES * self.width
        for at in range(0, len(self.data), size):
            yield Features(self.data[at : at + size], self.width, self.card_sha256)


@dataclass(slots=True)
class WorkTimes:
    """Milliseconds of work that the stages report, added up over one assessment."""

    ms: dict[str, float] = field(default_factory=lambda: {"preprocess": 0.0, "cnn": 0.0, "rnn": 0.0})

    def add(self, stage: str, answer: StageResponse) -> Message:
        """Count an answer's work; the answer itself."""
        self.ms[stage] += answer.work_ms
        return answer.message


async def score_series(rnn: StageClient, features: Features, position_mm: Sequence[float], work: WorkTimes) -> Scores:
    """Ask for the scores of slices that are one series."""
    slices = len(position_mm)
    tensors = (
        Tensor("features", "FP32", (slices, features.width), (features.data,)),
        Tensor("position_mm", "FP32", (slices,), (array("f", position_mm).tobytes(),)),
    )
    message = Message(tensors, {"card_sha256": features.card_sha256})
    answer = work.add("rnn", await rnn.infer("rnn", message))
    flat = _probabilities(answer, "slice_probabilities", slices * len(LABELS))
    rows = tuple(flat[at : at + len(LABELS)] for at in range(0, len(flat), len(LABELS)))
    series = _probabilities(answer, "series_probabilities", len(LABELS))
    return Scores(rows, series, str(answer.parameters.get("card_sha256", "")))


async def score_independent_slices(rnn: StageClient, features: Features, work: WorkTimes) -> Scores:
    """Ask for the scores of slices that do not belong together, each as a series of length one."""
    scored = await run_all(score_series(rnn, row, (0.0,), work) for row in features.rows())
    return Scores(tuple(one.slices[0] for one in scored), None, scored[0].card_sha256)


def _probabilities(answer: Message, name: str, count: int) -> tuple[float, ...]:
    """A tensor of scores; StageFailed where one is missing or is not a probability."""
    values = array("f", bytes(answer.tensor(name, "FP32").buffer))
    if len(values) != count or not all(math.isfinite(value) and 0 <= value <= 1 for value in values):
        raise StageFailed("rnn answered something that is no probability", stage="rnn")
    return tuple(values)


async def run_all(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Results in order; the first failure ends the others and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]

"""Requests to cnn and rnn: slices to features, features to probabilities. Only the probabilities are read here."""

import asyncio
import math
from array import array
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self, TypeVar

from services.common.labels import LABELS, SUBTYPES
from services.common.tensors import Message, Tensor
from services.gateway.stages.preprocess_responses import PreprocessedSlices
from services.gateway.stages.region_pool import NO_LEASE, Lease
from services.gateway.stages.stage_client import StageClient
from services.gateway.stages.stage_problems import BundleMismatch
from services.gateway.stages.stage_response import StageResponse, malformed

T = TypeVar("T")

_FLOAT_BYTES: Final = 4
_BLOOD: Final = "blood"


@dataclass(frozen=True, slots=True)
class Scores:
    """Probabilities in the order of LABELS: a row for each slice, and one for the series unless slices are independent.

    card_sha256 : of the bundle that computed them
    engines : names and versions of the engines that ran cnn and rnn, where the stages name them
    """

    slices: tuple[tuple[float, ...], ...]
    series: tuple[float, ...] | None
    card_sha256: str
    engines: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Features:
    """Features as sent: `data` is float32 (rows, width).

    card_sha256 : of the bundle that computed them
    engine : name and version; of replicas with different engines, all of them
    """

    data: bytes
    width: int
    card_sha256: str
    engine: str | None = None

    @classmethod
    def concatenate(cls, chunks: Sequence["Features"]) -> Self:
        """Join the rows of all chunks; at least one chunk is needed.

        Raises
        ------
        BundleMismatch
            the chunks are of different bundles
        """
        if len({(chunk.card_sha256, chunk.width) for chunk in chunks}) > 1:
            raise BundleMismatch("the bundle changed during the request; send it again", stage="cnn")
        engines = sorted({chunk.engine for chunk in chunks if chunk.engine})
        data = b"".join(chunk.data for chunk in chunks)
        return cls(data, chunks[0].width, chunks[0].card_sha256, ", ".join(engines) or None)

    def rows(self) -> Iterable["Features"]:
        """The features of each slice."""
        size = _FLOAT_BYTES * self.width
        for at in range(0, len(self.data), size):
            yield replace(self, data=self.data[at : at + size])


@dataclass(frozen=True, slots=True)
class BloodRows:
    """Rows of the blood map as sent: `data` is float32 (rows, *grid, 5)."""

    data: bytes
    grid: tuple[int, int]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.data) // blood_row_bytes(self.grid)

    @classmethod
    def concatenate(cls, chunks: Sequence["BloodRows"]) -> Self:
        """Join the rows of all chunks of one bundle; at least one chunk is needed."""
        return cls(b"".join(chunk.data for chunk in chunks), chunks[0].grid)


def blood_row_bytes(grid: tuple[int, int]) -> int:
    """Bytes of one row of the blood map."""
    return _FLOAT_BYTES * len(SUBTYPES) * grid[0] * grid[1]


@dataclass(slots=True)
class WorkTimes:
    """Milliseconds that each stage worked on one assessment, as the stages report them."""

    ms: dict[str, float] = field(default_factory=lambda: {"preprocess": 0.0, "cnn": 0.0, "rnn": 0.0})

    def add(self, response: StageResponse) -> StageResponse:
        """Add the time of a response, and return the response."""
        self.ms[response.stage] += response.work_ms
        return response


async def extract_features(
    cnn: StageClient,
    made: PreprocessedSlices,
    work: WorkTimes,
    lease: Lease = NO_LEASE,
    blood_grid: tuple[int, int] | None = None,
) -> tuple[Features, BloodRows | None]:
    """Request the features of slices, which may lie in the region of the lease, and on request their blood map.

    Parameters
    ----------
    blood_grid : rows and columns of the map that the bundle has; None requests none

    Raises
    ------
    StageFault
        cnn gave no usable response
    """
    outputs = ("features", _BLOOD) if blood_grid else ()
    message = Message((made.slices,), {"recipe": made.recipe}, requested_outputs=outputs)
    response, rows = work.add(await cnn.infer("cnn", message, lease)), made.slices.shape[0]
    found = response.tensor("features", "FP32", (rows, None))
    features = Features(bytes(found.buffer), found.shape[1], response.parameter("card_sha256"), response.engine)
    return features, _blood_rows(response, rows, blood_grid) if blood_grid else None


def _blood_rows(response: StageResponse, rows: int, grid: tuple[int, int]) -> BloodRows:
    found = response.tensor(_BLOOD, "FP32", (rows, *grid, len(SUBTYPES)))
    return BloodRows(bytes(found.buffer), grid)


async def score_series(rnn: StageClient, features: Features, position_mm: Sequence[float], work: WorkTimes) -> Scores:
    """Request the probabilities of the slices of one series.

    Raises
    ------
    StageFault
        rnn gave no usable response
    """
    slices = len(position_mm)
    tensors = (
        Tensor("features", "FP32", (slices, features.width), (features.data,)),
        Tensor("position_mm", "FP32", (slices,), (array("f", position_mm).tobytes(),)),
    )
    response = work.add(await rnn.infer("rnn", Message(tensors, {"card_sha256": features.card_sha256})))
    flat = _probabilities(response, "slice_probabilities", (slices, len(LABELS)))
    rows = tuple(flat[at : at + len(LABELS)] for at in range(0, len(flat), len(LABELS)))
    series = _probabilities(response, "series_probabilities", (len(LABELS),))
    engines = {"cnn": features.engine, "rnn": response.engine}
    named = {stage: engine for stage, engine in engines.items() if engine}
    return Scores(rows, series, response.parameter("card_sha256"), named)


async def score_independent_slices(
    rnn: StageClient, features: Features, work: WorkTimes, turn: Callable[[], AbstractAsyncContextManager[None]]
) -> Scores:
    """Request the probabilities of independent slices, each as a series of one slice, and each in its turn."""

    async def score(row: Features) -> Scores:
        async with turn():
            return await score_series(rnn, row, (0.0,), work)

    scored = await run_all(map(score, features.rows()))
    return Scores(tuple(one.slices[0] for one in scored), None, scored[0].card_sha256, scored[0].engines)


def _probabilities(response: StageResponse, name: str, shape: tuple[int, ...]) -> tuple[float, ...]:
    """The values of a tensor of probabilities; StageFailed where one is none."""
    values = array("f", bytes(response.tensor(name, "FP32", shape).buffer))
    if not all(math.isfinite(value) and 0 <= value <= 1 for value in values):
        raise malformed(response.stage, f"{name!r} holds a value that is no probability")
    return tuple(values)


async def run_all(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Results in order; the first failure cancels the others and is raised."""
    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks += map(group.create_task, coroutines)
        return [task.result() for task in tasks]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        tasks.clear()  # a task refers to its exception, whose traceback refers to this list

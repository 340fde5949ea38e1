"""A series as the gateway has it made and scored: in chunks between slabs, and every slice with its slab's scores."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.common.schemas import SeriesHeader
from services.common.slabs import SlabPlan
from services.preprocess.pipeline import Pipeline, Slices

CHUNK: Final = 16  # slices of one call

Scores = NDArray[np.float32]
Score = Callable[[NDArray[np.float32], NDArray[np.float32]], tuple[Scores, Scores]]


def made_in_turn(
    pipeline: Pipeline, header: SeriesHeader, plan: SlabPlan, read: Callable[[int], bytes]
) -> Iterator[Slices]:
    """The rows that the networks see, a few at a time.

    Parameters
    ----------
    read : a file by its number, whole
    """
    for part in plan.chunks(CHUNK):
        items = header.items[part[0].start : part[-1].stop]
        numbers = sorted({item.file for item in items})
        frames = np.array([(numbers.index(item.file), item.frame) for item in items], np.int32)
        slabs = np.repeat(np.arange(len(part)), [len(row) for row in part]).astype(np.int32)
        files = [read(number) for number in numbers]
        yield pipeline.make_slices(files, frames, slabs=slabs if plan.averaged else None)


def score_by_slice(
    score: Score, features: NDArray[np.float32], header: SeriesHeader, plan: SlabPlan
) -> tuple[Scores, Scores]:
    """Scores of each slice, (n, 6), and of the series, (6,), from the features of the plan's rows, (r, d).

    Parameters
    ----------
    score : scores of rows from their features and positions in mm, (r,)
    """
    rows, series = score(features, np.array(plan.positions_mm(header.position_mm), np.float32))
    return rows[list(plan.row_of)], series

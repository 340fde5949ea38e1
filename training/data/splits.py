"""Splits series into training, validation, held-out and test parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.io.errors import TrainingError

HELD_OUT: Final = 0  # the fold for metrics: no network and no threshold is fitted on it


@dataclass(frozen=True, slots=True)
class Parts:
    """Numbers of the entries of each part; the first three are of the labelled split."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    held_out: tuple[int, ...]
    test: tuple[int, ...]

    @property
    def every(self) -> tuple[int, ...]:
        """All numbers, ascending."""
        return tuple(sorted((*self.train, *self.validation, *self.held_out, *self.test)))


def split(entries: Sequence[Any], validation_fold: int, limit: int | None = None) -> Parts:
    """Split entries; keep the first `limit` of each part.

    Raises
    ------
    TrainingError
        a part is empty, or a patient is in two parts
    """
    labelled = [number for number, entry in enumerate(entries) if entry.split == "train"]
    folds = {number: entries[number].fold for number in labelled}
    parts = Parts(
        train=tuple(number for number in labelled if folds[number] not in (HELD_OUT, validation_fold))[:limit],
        validation=tuple(number for number in labelled if folds[number] == validation_fold)[:limit],
        held_out=tuple(number for number in labelled if folds[number] == HELD_OUT)[:limit],
        test=tuple(number for number, entry in enumerate(entries) if entry.split == "test")[:limit],
    )
    _check(entries, parts)
    return parts


def patients(entries: Sequence[Any], numbers: Sequence[int]) -> NDArray[np.int64]:
    """A number for the patient of each series, (k,): intervals draw whole patients."""
    return np.unique([entries[number].patient_id for number in numbers], return_inverse=True)[1].astype(np.int64)


def _check(entries: Sequence[Any], parts: Parts) -> None:
    for name in ("train", "validation", "held_out"):
        if not getattr(parts, name):
            raise TrainingError(
                f"The shards have no series for the part {name!r}: there are too few patients or folds."
            )
    sets = [{entries[number].patient_id for number in part} for part in (parts.train, parts.validation, parts.held_out)]
    if sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2]:
        raise TrainingError("A patient is in two folds: make folds and shards again.")

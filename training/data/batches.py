"""Batches of slices. A batch depends on seed and step only, so that a resumed training sees the same batches."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

WHOLE: Final = slice(None)


class Entry(Protocol):
    """One series as `training.rsna.shards` gives it."""

    @property
    def patient_id(self) -> str: ...
    @property
    def fold(self) -> int | None: ...
    @property
    def split(self) -> str: ...
    @property
    def files(self) -> tuple[str, ...]: ...
    @property
    def position_mm(self) -> NDArray[np.float32]: ...
    @property
    def labels(self) -> NDArray[np.bool_]: ...
    @property
    def label_mask(self) -> NDArray[np.bool_]: ...


class Source(Protocol):
    """Slices of series: `training.rsna.shards.Shards`, or a fake of a test."""

    @property
    def entries(self) -> tuple[Any, ...]: ...
    @property
    def digest(self) -> str: ...
    def slices(self, entry: Any, indices: Sequence[int] | None = None) -> NDArray[np.uint8]: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """slices (b, 512, 512, 3) uint8, labels and label_mask (b, 6) bool."""

    slices: NDArray[np.uint8]
    labels: NDArray[np.bool_]
    label_mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BatchSampler:
    """Draws batches from the slices of series, shuffled for every epoch.

    rows : (m, 2) int64, series and slice of every slice with a label; `positive_rows` marks slices with haemorrhage
    """

    source: Source
    entries: Sequence[Any]
    size: int
    seed: int = 0
    positives: float | None = None
    rows: NDArray[np.int64] = field(init=False)
    positive_rows: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        rows = [
            (number, place)
            for number, entry in enumerate(self.entries)
            for place in np.flatnonzero(entry.label_mask.any(axis=1))
        ]
        object.__setattr__(self, "rows", np.array(rows, np.int64).reshape(-1, 2))
        positive_rows = [self.entries[number].labels[place, 0] for number, place in rows]
        object.__setattr__(self, "positive_rows", np.array(positive_rows, bool))

    @property
    def steps_an_epoch(self) -> int:
        """Number of batches with as many slices as there are."""
        return max(len(self.rows) // self.size, 1)

    def chosen(self, step: int) -> NDArray[np.int64]:
        """Return series and slice of each row of a batch, (b, 2)."""
        if self.positives is not None:
            return self._balanced(step, self.positives)
        every = np.arange(step * self.size, (step + 1) * self.size)
        epochs, places = every // len(self.rows), every % len(self.rows)
        return np.stack(
            [self.rows[_order(self.seed, int(e), len(self.rows))[p]] for e, p in zip(epochs, places, strict=True)]
        )

    def base_rates(self) -> NDArray[np.float64]:
        """Return the share of slices with each label, (6,), never 0 or 1."""
        labels = np.concatenate([entry.labels[entry.label_mask.any(axis=1)] for entry in self.entries])
        return np.asarray((labels.sum(axis=0) + 0.5) / (len(labels) + 1))

    def _balanced(self, step: int, share: float) -> NDArray[np.int64]:
        rng = np.random.default_rng([self.seed, step])
        count = round(self.size * share)
        positive, negative = self.rows[self.positive_rows], self.rows[~self.positive_rows]
        return np.concatenate([rng.choice(positive, count), rng.choice(negative, self.size - count)])

    def read(self, step: int, rows: slice = WHOLE) -> Batch:
        """Read the batch of a step, or some rows of it."""
        chosen = self.chosen(step)[rows]
        slices = [self.source.slices(self.entries[number], [int(place)])[0] for number, place in chosen]
        labels, label_mask = (
            np.stack([getattr(self.entries[number], name)[place] for number, place in chosen])
            for name in ("labels", "label_mask")
        )
        return Batch(np.stack(slices), labels, label_mask)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(count)

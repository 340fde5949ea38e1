"""Slices of one slab to one slice: their mean along z, in Hounsfield units and before windowing."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


class InvalidSlabs(ValueError):
    """Slabs that do not fit the frames that they are of; the message is an answer to the caller."""


class SliceMean:
    """The mean of slices of one size that come one by one: memory holds a sum, never all of them."""

    def __init__(self, rows: int, columns: int) -> None:
        self._sum = np.zeros((rows, columns), np.int32)
        self._count = 0

    def add(self, hu: NDArray[np.int16]) -> None:
        """Count one slice, (rows, columns) int16."""
        np.add(self._sum, hu, out=self._sum)
        self._count += 1

    def hu(self) -> NDArray[np.int16]:
        """The mean of what was added, (rows, columns) int16, rounded. The order of slices does not change it."""
        return np.rint(self._sum / self._count).astype(np.int16)


def slab_rows(slabs: NDArray[np.int32]) -> list[range]:
    """Which frames make each slab.

    Parameters
    ----------
    slabs : (m,) int32, the slab of each frame

    Raises
    ------
    InvalidSlabs
        they do not ascend from 0 without a hole
    """
    numbers: Sequence[int] = slabs.tolist()
    steps = [after - before for before, after in pairwise([-1, *numbers])]
    if not set(steps) <= {0, 1} or steps[:1] == [0]:
        raise InvalidSlabs("slabs must ascend from 0, each number in one piece")
    starts = [index for index, step in enumerate(steps) if step]
    return [range(start, stop) for start, stop in pairwise([*starts, len(numbers)])]

"""Averages the slices of a slab along z, in Hounsfield units before windowing."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


class InvalidSlabs(ValueError):
    """Slab numbers that do not match the frames; the message goes to the client."""


class SliceMean:
    """The mean of slices added one by one: memory holds their sum only."""

    def __init__(self, rows: int, columns: int) -> None:
        self._sum = np.zeros((rows, columns), np.int32)
        self._count = 0

    def add(self, hu: NDArray[np.int16]) -> None:
        """Add one slice, (rows, columns) int16."""
        np.add(self._sum, hu, out=self._sum)
        self._count += 1

    def hu(self) -> NDArray[np.int16]:
        """The mean, (rows, columns) int16, rounded; independent of the order of the slices."""
        return np.rint(self._sum / self._count).astype(np.int16)


def slab_rows(slabs: NDArray[np.int32]) -> list[range]:
    """The frames of each slab.

    Parameters
    ----------
    slabs : (m,) int32, the slab of each frame

    Raises
    ------
    InvalidSlabs
        the numbers do not ascend from 0 without a gap
    """
    numbers: Sequence[int] = slabs.tolist()
    steps = [after - before for before, after in pairwise([-1, *numbers])]
    if not set(steps) <= {0, 1} or steps[:1] == [0]:
        raise InvalidSlabs("slabs must ascend from 0 in steps of 0 or 1")
    starts = [index for index, step in enumerate(steps) if step]
    return [range(start, stop) for start, stop in pairwise([*starts, len(numbers)])]

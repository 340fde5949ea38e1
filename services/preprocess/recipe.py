"""Hounsfield units to pixels. Training and serving both call this, so their pixels are the same bytes."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.common.recipe import Recipe, Window


def render(hu: NDArray[np.int16], recipe: Recipe, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Show Hounsfield units through the three windows of a recipe.

    Parameters
    ----------
    hu : (..., rows, columns) int16, Hounsfield units
    out : (..., rows, columns, 3) uint8, contiguous, to write the pixels into

    Returns
    -------
    (..., rows, columns, 3) uint8, 0 at and below each window's lower edge, 255 at and above its upper one
    """
    # No index is out of the table's range; "clip" only spares numpy a buffer between it and `out`.
    return np.take(_table(recipe), hu.view(np.uint16), axis=0, out=out, mode="clip")


@lru_cache(maxsize=4)
def _table(recipe: Recipe) -> NDArray[np.uint8]:
    """The three channels of every int16 value, by its bits read as uint16."""
    hu = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.float64)
    return np.stack([_levels(hu, window) for window in recipe.windows], axis=-1)


def _levels(hu: NDArray[np.float64], window: Window) -> NDArray[np.uint8]:
    scaled = (hu - window.lower_hu) * (255 / window.width_hu)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)

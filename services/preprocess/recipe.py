"""Hounsfield units to pixels. Training and serving both call this, so their pixels are the same bytes."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.common.recipe import Recipe, Window


def render(hu: NDArray[np.int16], recipe: Recipe) -> NDArray[np.uint8]:
    """Show Hounsfield units through the three windows of a recipe.

    Parameters
    ----------
    hu : (..., rows, columns) int16, Hounsfield units

    Returns
    -------
    (..., rows, columns, 3) uint8, 0 at and below each window's lower edge, 255 at and above its upper one
    """
    packed = np.take(_table(recipe), hu.view(np.uint16))
    return np.ascontiguousarray(packed.view(np.uint8).reshape(*hu.shape, 4)[..., :3])


@lru_cache(maxsize=4)
def _table(recipe: Recipe) -> NDArray[np.uint32]:
    """The four bytes (three channels and a zero) of every int16 value, by its bits read as uint16."""
    hu = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.float64)
    channels = [_levels(hu, window) for window in recipe.windows]
    return np.stack([*channels, np.zeros_like(channels[0])], axis=-1).view(np.uint32).ravel()


def _levels(hu: NDArray[np.float64], window: Window) -> NDArray[np.uint8]:
    scaled = (hu - window.lower_hu) * (255 / window.width_hu)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)

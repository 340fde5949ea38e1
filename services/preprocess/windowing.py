"""Hounsfield units to pixels. Training and serving both call this, so their pixels are the same bytes."""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.common.recipe import Recipe, Window

_PLACES: Final = np.array([1 << 16, 1 << 8, 1], np.int32)  # what makes one number of a colour
_MOST: Final = 0.5


def apply_windows(hu: NDArray[np.int16], recipe: Recipe, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Show Hounsfield units through the three windows of a recipe.

    Parameters
    ----------
    hu : (..., rows, columns) int16, Hounsfield units
    out : (..., rows, columns, 3) uint8, contiguous, to write the pixels into

    Returns
    -------
    (..., rows, columns, 3) uint8, 0 at and below each window's lower edge, 255 at and above its upper one
    """
    pixels = np.empty((*hu.shape, 3), np.uint8) if out is None else out
    # Colours of four bytes are looked up at once, and then the three that count are written, in two thirds of the time
    # that three bytes take. No index is out of the table's range: "clip" only spares numpy from checking.
    colours = np.take(_colours(recipe), hu.view(np.uint16), mode="clip").view(np.uint8)
    for channel in range(3):
        pixels[..., channel] = colours[..., channel::4]
    return pixels


def could_be_windowed(pixels: NDArray[np.uint8], recipe: Recipe) -> bool:
    """Whether most of what is not black in a picture can be one slice through the three windows of a recipe.

    Of 16 million colours the default recipe makes 548. Other programs may round a level otherwise, and a picture that
    was scaled afterwards has other colours along its edges, so not every pixel need be one of them.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8
    """
    colours = pixels.astype(np.int32) @ _PLACES
    shown = colours[colours > 0]
    return bool(np.count_nonzero(_makes(recipe)[shown]) >= _MOST * shown.size)


@lru_cache(maxsize=4)
def _makes(recipe: Recipe) -> NDArray[np.bool_]:
    """(256 ** 3,) bool, for every colour whether the recipe makes it, or one that is a level off."""
    levels = np.unique(_table(recipe).astype(np.int32) @ _PLACES)[:, None] // _PLACES % 256
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3), axis=-1).reshape(-1, 3)
    made = np.zeros(256**3, np.bool_)
    made[np.clip(levels[:, None] + steps, 0, 255) @ _PLACES] = True
    return made


@lru_cache(maxsize=4)
def _colours(recipe: Recipe) -> NDArray[np.uint32]:
    """The three channels of every int16 value as the first three of four bytes."""
    levels = _table(recipe)
    return np.concatenate([levels, np.zeros_like(levels[:, :1])], axis=1).view(np.uint32).ravel()


@lru_cache(maxsize=4)
def _table(recipe: Recipe) -> NDArray[np.uint8]:
    """The three channels of every int16 value, by its bits read as uint16."""
    hu = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.float64)
    return np.stack([_levels(hu, window) for window in recipe.windows], axis=-1)


def _levels(hu: NDArray[np.float64], window: Window) -> NDArray[np.uint8]:
    scaled = (hu - window.lower_hu) * (255 / window.width_hu)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)

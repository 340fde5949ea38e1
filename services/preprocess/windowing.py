"""Windows Hounsfield units to pixels, on the same code path in serving and training: the pixels are the same bytes."""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.common.recipe import Recipe, Window

_CHANNEL_WEIGHTS: Final = np.array([1 << 16, 1 << 8, 1], np.int32)  # a colour as one number
_MIN_SHARE: Final = 0.5


def apply_windows(hu: NDArray[np.int16], recipe: Recipe, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Map Hounsfield units through the three windows of a recipe.

    Parameters
    ----------
    hu : (..., rows, columns) int16, Hounsfield units
    out : (..., rows, columns, 3) uint8, contiguous, which receives the pixels

    Returns
    -------
    (..., rows, columns, 3) uint8, 0 at and below each window's lower edge, 255 at and above its upper one
    """
    pixels = np.empty((*hu.shape, 3), np.uint8) if out is None else out
    # Every index is in range; "clip" skips numpy's check.
    _pack(np.take(_colours(recipe), hu.view(np.uint16), mode="clip").reshape(-1), pixels)
    return pixels


def _pack(colours: NDArray[np.uint32], pixels: NDArray[np.uint8]) -> None:
    """Write the first three of each four bytes.

    Four bytes are written to every third place, in ascending order: each colour overwrites the last byte of the one
    before. This takes a third of the time of a copy of each channel.
    """
    if colours.size:
        every_third = np.ndarray((colours.size - 1,), np.uint32, pixels, 0, (3,))  # refuses pixels with gaps
        every_third[...] = colours[:-1]
        pixels.reshape(-1)[-3:] = colours[-1:].view(np.uint8)[:3]


def could_be_windowed(pixels: NDArray[np.uint8], recipe: Recipe) -> bool:
    """Whether most pixels above black can be one slice through the three windows of a recipe.

    The default recipe makes 548 of 16 million colours. Some pixels may differ: other programs round a level
    differently, and a scaled picture has other colours along its edges.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8
    """
    red, green, blue = (pixels[..., channel] for channel in range(3))
    colours = (red.astype(np.int32) << 8 | green) << 8 | blue  # a third of the time of a product with the weights
    above_black = colours[colours > 0]
    return bool(np.count_nonzero(_possible_colours(recipe)[above_black]) >= _MIN_SHARE * above_black.size)


@lru_cache(maxsize=4)
def _possible_colours(recipe: Recipe) -> NDArray[np.bool_]:
    """(256 ** 3,) bool: whether the recipe makes each colour, within one level per channel."""
    levels = np.unique(_table(recipe).astype(np.int32) @ _CHANNEL_WEIGHTS)[:, None] // _CHANNEL_WEIGHTS % 256
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3), axis=-1).reshape(-1, 3)
    made = np.zeros(256**3, np.bool_)
    made[np.clip(levels[:, None] + steps, 0, 255) @ _CHANNEL_WEIGHTS] = True
    return made


@lru_cache(maxsize=4)
def _colours(recipe: Recipe) -> NDArray[np.uint32]:
    """(65536,) uint32: the three channels of every int16 value in the first three of four bytes."""
    levels = _table(recipe)
    return np.concatenate([levels, np.zeros_like(levels[:, :1])], axis=1).view(np.uint32).ravel()


@lru_cache(maxsize=4)
def _table(recipe: Recipe) -> NDArray[np.uint8]:
    """(65536, 3) uint8: the three channels of every int16 value, indexed by its bits as uint16."""
    hu = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.float64)
    return np.stack([_levels(hu, window) for window in recipe.windows], axis=-1)


def _levels(hu: NDArray[np.float64], window: Window) -> NDArray[np.uint8]:
    scaled = (hu - window.lower_hu) * (255 / window.width_hu)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)

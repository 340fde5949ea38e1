"""Curves that compose tissue, and the array type of the phantom."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32 where there is a point for every pixel


def soft_step(distance_mm: Floats) -> Floats:
    """Share of a point's surroundings inside a surface, from its signed distance in mm; (n,) float32."""
    share: Floats = np.clip(distance_mm.astype(np.float32) + np.float32(0.5), 0, 1)
    return share


def ramp(scaled: Floats) -> Floats:
    """From 0 to 1 as the argument goes from -1 to 1."""
    value: Floats = np.clip(scaled * np.float32(0.5) + np.float32(0.5), 0, 1)
    return value


def bump(*scaled: Floats) -> Floats:
    """A Gaussian of height 1; the arguments are distances divided by its width."""
    squares = scaled[0] * scaled[0]
    for value in scaled[1:]:
        squares = squares + value * value
    result: Floats = np.exp(-squares)
    return result

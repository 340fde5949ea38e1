"""The few curves that tissue is made of, and the type that runs through the phantom."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32 wherever there is a point for every pixel


def soft_step(distance_mm: Floats) -> Floats:
    """Share of a point's surroundings that lies inside, by the signed distance; (n,) float32."""
    share: Floats = np.clip(distance_mm.astype(np.float32) + np.float32(0.5), 0, 1)
    return share


def ramp(scaled: Floats) -> Floats:
    """From 0 to 1 as the argument goes from -1 to 1."""
    value: Floats = np.clip(scaled * np.float32(0.5) + np.float32(0.5), 0, 1)
    return value


def bump(*scaled: Floats) -> Floats:
    """A smooth hill of height 1; its arguments are distances divided by its width."""
    squares = scaled[0] * scaled[0]
    for value in scaled[1:]:
        squares = squares + value * value
    result: Floats = np.exp(-squares)
    return result

"""Real slices as other scanners would show them: more noise, another zero, slope or sharpness."""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from scipy import ndimage

from training.phantom.shapes import Floats

BRAIN_HU: Final = 35.0  # unchanged by another slope
SEED: Final = 2019
ScannerVariant = Callable[[Floats], Floats]


def unchanged(hu: Floats) -> Floats:
    """Return the slices of the scanner that made them."""
    return hu


def _noisier(hu: Floats, *, by_hu: float) -> Floats:
    """Add noise of a usual kernel, about two pixels wide."""
    white = np.random.default_rng(SEED).standard_normal(hu.shape, dtype=np.float32)
    noise: Floats = ndimage.gaussian_filter(white, (0, 1, 1))
    return hu + noise * np.float32(by_hu / noise.std())


def _moved(hu: Floats, *, by_hu: float) -> Floats:
    return hu + np.float32(by_hu)


def _stretched(hu: Floats, *, slope: float) -> Floats:
    return (hu - np.float32(BRAIN_HU)) * np.float32(slope) + np.float32(BRAIN_HU)


def _sharpened(hu: Floats, *, by: float) -> Floats:
    """Sharpen; smooth with `by` below zero."""
    smooth: Floats = ndimage.gaussian_filter(hu, (0, 1.5, 1.5))
    return hu + np.float32(by) * (hu - smooth)


# Of slices (n, 512, 512) float32 in Hounsfield units; the same for the same slices.
SCANNER_VARIANTS: Final[dict[str, ScannerVariant]] = {
    "3 HU of noise more": partial(_noisier, by_hu=3),
    "6 HU of noise more": partial(_noisier, by_hu=6),
    "8 HU lower": partial(_moved, by_hu=-8),
    "8 HU higher": partial(_moved, by_hu=8),
    "slope 0.9": partial(_stretched, slope=0.9),
    "slope 1.1": partial(_stretched, slope=1.1),
    "smoother": partial(_sharpened, by=-1),
    "sharper": partial(_sharpened, by=0.6),
}

"""Statistics of a slice to compare phantoms with real series: brain, noise, and the border of the skull."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BONE_HU: Final = 350
EDGES_MM: Final = (0, 1.5, 2.5, 3.5, 4.5, 6, 8, 10, 14, 20)  # distances from the inner table
CORE_MM: Final = 8.0  # deeper pixels are brain alone
MIN_CAVITY_MM2: Final = 6000  # smallest area of the cavity
HU_BINS: Final = np.arange(-10, 91, 2)
PATCH: Final = 32  # pixels along a side of the patch for the spectrum
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class SliceStatistics:
    """Statistics of one slice.

    border_hu : median by distance from the inner table, between `EDGES_MM`
    histogram : share of the core's pixels in each of `HU_BINS`
    noise_hu : standard deviation of structures below about 4 mm, in the core
    spectrum : power of the quietest patch by frequency, from 0 to half a cycle a pixel, summing to 1
    """

    border_hu: Floats
    histogram: Floats
    noise_hu: float
    spectrum: Floats


def slice_statistics(hu: NDArray[Any], pixel_mm: float) -> SliceStatistics | None:
    """Statistics of a slice, (n, n) Hounsfield units; None with too little brain."""
    inside = cavity(hu)
    if inside.sum() * pixel_mm**2 < MIN_CAVITY_MM2:
        return None
    depth = ndimage.distance_transform_edt(inside) * pixel_mm
    core = depth > CORE_MM
    rings = [hu[(depth > low) & (depth <= high)] for low, high in pairwise(EDGES_MM)]
    border = [np.median(ring) if ring.size else np.nan for ring in rings]
    fine = hu - ndimage.gaussian_filter(hu.astype(np.float64), 2 / pixel_mm)
    shares = np.histogram(hu[core], HU_BINS)[0] / max(int(core.sum()), 1)
    noise = float(np.median(np.abs(fine[core])) * 1.4826)  # of a normal distribution
    return SliceStatistics(np.array(border), shares, noise, _spectrum(fine, core))


def cavity(hu: NDArray[Any]) -> NDArray[np.bool_]:
    """The largest area that bone surrounds, (n, n) bool."""
    bone = hu > BONE_HU
    closed = ndimage.binary_fill_holes(ndimage.binary_closing(bone, iterations=2)) & ~bone
    parts, count = ndimage.label(closed)
    if not count:
        return np.zeros_like(bone)
    sizes = ndimage.sum_labels(closed, parts, np.arange(1, count + 1))
    largest: NDArray[np.bool_] = parts == 1 + int(np.argmax(sizes))
    return largest


def _spectrum(fine: Floats, core: NDArray[np.bool_]) -> Floats:
    corners = [
        (row, column)
        for row in range(0, len(fine) - PATCH, PATCH // 2)
        for column in range(0, fine.shape[1] - PATCH, PATCH // 2)
        if core[row : row + PATCH, column : column + PATCH].all()
    ]
    patches = [fine[row : row + PATCH, column : column + PATCH] for row, column in corners]
    if not patches:
        return np.full(PATCH // 2, np.nan)
    quiet = min(patches, key=np.std)
    power = np.abs(np.fft.fft2(quiet - quiet.mean())) ** 2
    radius = np.hypot(np.fft.fftfreq(PATCH)[:, None], np.fft.fftfreq(PATCH)[None]) * PATCH
    rings = np.array([power[(radius >= ring) & (radius < ring + 1)].mean() for ring in range(PATCH // 2)])
    spectrum: Floats = rings / rings.sum()
    return spectrum

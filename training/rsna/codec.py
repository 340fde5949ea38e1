"""Packs one slice in Hounsfield units as lossless JPEG-LS (ISO/IEC 14495-1), and unpacks it.

Values outside every window of the recipe are clipped to the nearest value with the same result, since half of a slice
is air or padding. A slice that is resampled is not clipped. High-Throughput JPEG 2000 decodes in half the time, but
takes 10 to 15 % more space: all of the challenge would exceed 80 GB.
"""

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from imagecodecs import jpegls_decode, jpegls_encode
from numpy.typing import NDArray

from services.common.recipe import Recipe
from services.preprocess.dicom_file import DecodedFrame
from services.preprocess.resample import resample_and_pad
from services.preprocess.windowing import apply_windows


@dataclass(frozen=True, slots=True)
class PackedSlice:
    """A slice's codestream and geometry. `lowest_hu` is stored as 0 in the codestream."""

    data: bytes
    lowest_hu: int
    row_spacing_mm: float
    column_spacing_mm: float


def bounds_hu(recipe: Recipe) -> tuple[int, int]:
    """Return the values in HU below and above which no window of a recipe changes."""
    lower = min(window.lower_hu for window in recipe.windows)
    upper = max(window.upper_hu for window in recipe.windows)
    return floor(lower), ceil(upper)


def pack(image: DecodedFrame, recipe: Recipe) -> PackedSlice:
    """Pack a decoded slice; `unpack` returns exactly the pixels that the service makes of it."""
    hu = image.hu
    if _resampled(hu, image.row_spacing_mm, image.column_spacing_mm, recipe) is hu:
        hu = hu.clip(*bounds_hu(recipe))
    lowest_hu = int(hu.min())
    stored = np.ascontiguousarray(hu).view(np.uint16) - _modulo(lowest_hu)
    return PackedSlice(_encoded(stored), lowest_hu, image.row_spacing_mm, image.column_spacing_mm)


def unpack(packed: PackedSlice, recipe: Recipe, out: NDArray[np.uint8]) -> None:
    """Write a slice's pixels into `out`, (rows, columns, 3) uint8 of the recipe."""
    apply_windows(_resampled(values(packed), packed.row_spacing_mm, packed.column_spacing_mm, recipe), recipe, out)


def values(packed: PackedSlice) -> NDArray[np.int16]:
    """Return the stored slice, (rows, columns) int16, in Hounsfield units."""
    stored: NDArray[np.uint16] = jpegls_decode(packed.data)
    return (stored + _modulo(packed.lowest_hu)).view(np.int16)


def _resampled(
    hu: NDArray[np.int16], row_spacing_mm: float, column_spacing_mm: float, recipe: Recipe
) -> NDArray[np.int16]:
    return resample_and_pad(hu, row_spacing_mm, column_spacing_mm, recipe.rows, recipe.columns)


def _modulo(hu: int) -> np.uint16:
    """Return 16 bits; sums wrap around at 65,536."""
    return np.uint16(hu & 0xFFFF)


def _encoded(stored: NDArray[np.uint16]) -> bytes:
    """Encode with a buffer that also holds noise, for which imagecodecs' default is too small."""
    return bytes(jpegls_encode(stored, out=2 * stored.nbytes + 1024))

"""One periodic field of band-limited noise; every texture of the phantom is a look-up into it."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from training.phantom.shapes import Floats

_SIDE = 128  # voxels; a power of two, so that the period is a bit mask
_WAVELENGTH = 32  # voxels
_LEVELS = 40  # int8 steps a standard deviation: the field then fits the processor's cache


def sample(x: Floats, y: Floats, z: Floats, *, wavelength_mm: float, offset: int) -> Floats:
    """Noise of mean 0 and standard deviation 1 at points in mm; another `offset` gives another field."""
    scale = np.float32(_WAVELENGTH / wavelength_mm)
    # Three irrational steps move neighbouring offsets far apart.
    shift = (offset * np.array([0.8191725, 0.6710436, 0.5497005]) % 1 * _SIDE).astype(np.float32)
    index = _wrapped(x, scale, shift[0])
    for axis, start in ((y, shift[1]), (z, shift[2])):
        index *= _SIDE
        index += _wrapped(axis, scale, start)
    return _field()[index].astype(np.float32) * np.float32(1 / _LEVELS)


def waves(x: Floats, y: Floats, z: Floats, *, wavelength_mm: float, offset: int) -> Floats:
    """Sum of four random waves: as `sample`, but smooth, for displacements."""
    rng = np.random.default_rng([offset, 4])
    total = np.zeros_like(x)
    for _ in range(4):
        way = rng.standard_normal(3)
        cycle = 2 * np.pi / (wavelength_mm * rng.uniform(0.7, 1.6))
        kx, ky, kz = (np.float32(value) for value in way / np.linalg.norm(way) * cycle)
        total += np.sin(x * kx + y * ky + z * kz + np.float32(rng.uniform(0, 2 * np.pi)))
    return total * np.float32(1 / np.sqrt(2))


def _wrapped(values: Floats, scale: np.float32, shift: np.float32) -> NDArray[np.int32]:
    # The large number keeps values positive, since the cast rounds towards zero.
    moved = values * scale + np.float32(shift + 64 * _SIDE)
    index: NDArray[np.int32] = moved.astype(np.int32)
    index &= _SIDE - 1
    return index


@cache
def _field() -> NDArray[np.int8]:
    rng = np.random.default_rng(20190924)
    white = rng.standard_normal((_SIDE,) * 3, dtype=np.float32)
    along = np.fft.fftfreq(_SIDE)
    frequency = np.sqrt(along[:, None, None] ** 2 + along[None, :, None] ** 2 + np.fft.rfftfreq(_SIDE) ** 2)
    band = np.exp(-(((frequency * _WAVELENGTH - 1) / 0.35) ** 2))
    field = np.fft.irfftn(np.fft.rfftn(white) * band, s=(_SIDE,) * 3, axes=(0, 1, 2))
    levels: NDArray[np.int8] = np.clip(np.rint(field / field.std() * _LEVELS), -127, 127).astype(np.int8).ravel()
    return levels

"""One periodic field of band-limited noise; every texture of the phantom is a look-up into it."""

from functools import cache, lru_cache

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
    moved, whole = np.empty(x.shape, np.float32), np.empty(x.shape, np.int32)
    index = np.zeros(x.shape, np.int32)
    for axis, start in zip((z, y, x), shift[::-1], strict=True):
        # The large number keeps values positive, since the cast rounds towards zero.
        np.multiply(axis, scale, out=moved)
        moved += np.float32(start + 64 * _SIDE)
        whole[...] = moved
        whole &= _SIDE - 1
        index *= _SIDE
        index += whole
    # Every index is in range; "clip" skips numpy's check.
    np.multiply(_field().take(index.astype(np.intp), mode="clip"), np.float32(1 / _LEVELS), out=moved)
    return moved


def waves(x: Floats, y: Floats, z: Floats, *, wavelength_mm: float, offset: int) -> Floats:
    """Sum of four random waves: as `sample`, but smooth, for displacements."""
    total, phase, part = np.zeros_like(x), np.empty_like(x), np.empty_like(x)
    for kx, ky, kz, start in _four_waves(wavelength_mm, offset):
        np.multiply(x, kx, out=phase)
        phase += np.multiply(y, ky, out=part)
        phase += np.multiply(z, kz, out=part)
        phase += start
        total += np.sin(phase, out=phase)
    total *= np.float32(1 / np.sqrt(2))
    return total


@lru_cache(maxsize=256)
def _four_waves(wavelength_mm: float, offset: int) -> list[tuple[np.float32, ...]]:
    """Four random waves: angular frequency in 1/mm along x, y and z, and phase."""
    rng, waves = np.random.default_rng([offset, 4]), []
    for _ in range(4):
        way = rng.standard_normal(3)
        cycle = 2 * np.pi / (wavelength_mm * rng.uniform(0.7, 1.6))
        steps = way / np.linalg.norm(way) * cycle
        waves.append(tuple(np.float32(value) for value in (*steps, rng.uniform(0, 2 * np.pi))))
    return waves


@cache
def _field() -> NDArray[np.int8]:
    rng = np.random.default_rng(20190924)
    white = rng.standard_normal((_SIDE,) * 3, dtype=np.float32)
    along = np.fft.fftfreq(_SIDE)
    frequency = np.sqrt(along[:, None, None] ** 2 + along[None, :, None] ** 2 + np.fft.rfftfreq(_SIDE) ** 2)
    band = np.exp(-(((frequency * _WAVELENGTH - 1) / 0.35) ** 2))
    field = np.fft.irfftn(np.fft.rfftn(white) * band, s=(_SIDE,) * 3, axes=(0, 1, 2))
    levels: NDArray[np.int8] = np.clip(np.rint(field / field.std() * _LEVELS), -127, 127).astype(np.int8).ravel()
    # Neighbours along x, which follow each other in the rows of a slice, lie side by side in memory.
    return np.ascontiguousarray(levels.reshape((_SIDE,) * 3).T).ravel()

"""Beam hardening: the artefact of bone in a scanner that corrects for water only.

The attenuation of a ray grows less than in proportion to the bone in it. With a deficit that grows as the square of the
bone in a ray (Joseph and Spital, J Comput Assist Tomogr 2 (1978) 100-108), the artefact is the back-projection of those
squares: dark bands between the petrous bones, bright brain along the vault. It is smooth, so a coarse grid is enough.
"""

from functools import cache
from typing import Any, Final

import numpy as np
from scipy import ndimage, sparse

from training.phantom.geometry import SIZE
from training.phantom.shapes import Floats

COARSE: Final = 64  # rows and columns of the projected image
ANGLES: Final = 72
_RAYS: Final = 96  # of each angle, one coarse pixel apart
_BONE_HU: Final = 150


def hardening_hu(hu: Floats) -> Floats:
    """Return the artefact at full strength in HU, (SIZE, SIZE) float32, with mean 0 over soft tissue.

    Parameters
    ----------
    hu : (SIZE, SIZE) float32, the tissue of a slice
    """
    step = SIZE // COARSE
    coarse = hu.reshape(COARSE, step, COARSE, step)
    bone = np.clip(coarse - _BONE_HU, 0, 2000).mean(axis=(1, 3)) * np.float32(1e-3)
    soft = (coarse > -_BONE_HU).mean(axis=(1, 3)) * (bone < 0.05)  # noqa: PLR2004 - hardly any bone
    rays, back = _rays(), _filter()
    crossed = (rays @ bone.ravel()).reshape(ANGLES, _RAYS)
    short = np.fft.irfft(np.fft.rfft(crossed**2, axis=1) * back, n=_RAYS, axis=1).astype(np.float32)
    fault = -(rays.T @ short.ravel()).reshape(COARSE, COARSE)
    fault -= (fault * soft).sum() / max(float(soft.sum()), 1.0)
    fine: Floats = ndimage.zoom(fault, step, order=1, grid_mode=True, mode="nearest")
    return fine


@cache
def _rays() -> Any:
    """Projection of a coarse image to sums along rays; (ANGLES * _RAYS, COARSE * COARSE), sparse."""
    middle = np.arange(COARSE) - (COARSE - 1) / 2
    down, right = (axis.ravel() for axis in np.meshgrid(middle, middle, indexing="ij"))
    turns = np.arange(ANGLES) * np.pi / ANGLES
    place = np.outer(np.cos(turns), right) + np.outer(np.sin(turns), down) + (_RAYS - 1) / 2
    low = np.floor(place).astype(int)
    above = place - low
    pixel = np.broadcast_to(np.arange(COARSE**2), place.shape)
    row = low + np.arange(ANGLES)[:, None] * _RAYS
    rows, columns = np.concatenate([row, row + 1]).ravel(), np.concatenate([pixel, pixel]).ravel()
    shares = np.concatenate([1 - above, above]).ravel().astype(np.float32)
    return sparse.csr_matrix((shares, (rows, columns)), shape=(ANGLES * _RAYS, COARSE**2))


@cache
def _filter() -> Floats:
    """The ramp filter of back-projection with its scale, attenuated at high frequencies."""
    cycles = np.fft.rfftfreq(_RAYS)
    ramp: Floats = (cycles * np.cos(np.pi * cycles) * 2 * np.pi / ANGLES).astype(np.float32)
    return ramp

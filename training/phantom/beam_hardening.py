"""Beam hardening: the artefact of bone in a scanner that corrects for water only.

The attenuation of a ray grows less than in proportion to the bone in it. With a deficit that grows as the square of the
bone in a ray (Joseph and Spital, J Comput Assist Tomogr 2 (1978) 100-108), the artefact is the back-projection of those
squares: dark bands between the petrous bones, bright brain along the vault. It is smooth, so a coarse grid is enough.
"""

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

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
    bone = _cell_sums(np.clip(hu - _BONE_HU, 0, 2000)) / np.float32(step**2) * np.float32(1e-3)
    share = _cell_sums((hu > -_BONE_HU).view(np.uint8)) / step**2
    soft = share * (bone < 0.05)  # noqa: PLR2004 - hardly any bone
    rays, back = _rays(), _filter()
    crossed = (rays @ bone.ravel()).reshape(ANGLES, _RAYS)
    short = np.fft.irfft(np.fft.rfft(crossed**2, axis=1) * back, n=_RAYS, axis=1).astype(np.float32)
    fault = -(rays.T @ short.ravel()).reshape(COARSE, COARSE)
    fault -= (fault * soft).sum() / max(float(soft.sum()), 1.0)
    return _enlarged(_enlarged(fault.astype(np.float64)).T).T.astype(np.float32)


def _cell_sums(fine: NDArray[Any]) -> NDArray[Any]:
    """Sums over the cells of the coarse grid; reductions over two axes take ten times as long."""
    step = SIZE // COARSE
    across = fine.reshape(SIZE, COARSE, step)
    rows = sum((across[:, :, place] for place in range(1, step)), start=across[:, :, 0])
    down = rows.reshape(COARSE, step, COARSE)
    return sum((down[:, place] for place in range(1, step)), start=down[:, 0])


def _enlarged(coarse: Floats) -> Floats:
    """Interpolate linearly between the middles of rows, for `SIZE` rows; the outermost rows repeat."""
    step = SIZE // COARSE
    padded = np.concatenate([coarse[:1], coarse, coarse[-1:]])
    fine = np.empty((COARSE, step, coarse.shape[1]))
    for place in range(step):
        after = (place + 0.5) / step - 0.5
        neighbours = padded[2:] if after > 0 else padded[:-2]
        np.add(coarse * (1 - abs(after)), neighbours * abs(after), out=fine[:, place])
    return fine.reshape(SIZE, -1)


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

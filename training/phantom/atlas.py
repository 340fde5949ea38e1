"""The standard brain, ICBM 152 2009a (nonlinear, symmetric, 1 mm), as fields sampled at points.

Its volumes lie inside nilearn's wheel. Copyright (C) 1993-2004 Louis Collins, McConnell Brain Imaging Centre, Montreal
Neurological Institute, McGill University, who permit use, copying and change without fee.
Fonov et al., NeuroImage 54 (2011) 313-327; Fonov et al., NeuroImage 47 (2009) S102.
"""

import gzip
import importlib.util
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.io.files import write_atomically
from training.phantom.geometry import Points
from training.phantom.shapes import Floats

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

SHAPE: Final = (197, 233, 213)
BELOW: Final = 24  # slices added below the template, which ends at the foramen magnum
ORIGIN: Final = (98, 124, 76 + BELOW)  # voxel of the head's origin, between the lateral ventricles
FIELDS: Final = ("grey", "white", "smooth_white", "cavity", "hull", "ventricle", "tentorium", "sulcus")
_SHARES: Final = ("grey", "white", "smooth_white", "sulcus")  # of `Tissue`, in its order,
_DISTANCES: Final = ("ventricle", "tentorium")  # and its distances
STEP_MM: Final = 0.25  # resolution of stored distances
REACH_MM: Final = 127 * STEP_MM  # larger distances are clipped
HULL_MM: Final = 22.0  # size of the openings of the cavity that its hull closes
CAVITY_MM: Final = 6.0  # size of the clefts of the brain that belong to the cavity
_HEADER = 352  # bytes before the voxels of an uncompressed NIfTI-1 file


@dataclass(frozen=True, slots=True)
class Tissue:
    """The standard brain at points; (n,) float32 each.

    grey, white, smooth_white : shares from 0 to 1; the last smoothed
    sulcus : share of CSF within a few mm; it widens first with atrophy
    ventricle_mm : signed distance into the ventricles
    tentorium_mm : signed distance above the tentorium
    """

    grey: Floats
    white: Floats
    smooth_white: Floats
    sulcus: Floats
    ventricle_mm: Floats
    tentorium_mm: Floats


def look_up(inner: Points) -> Tissue:
    """Sample the standard brain at points of its own frame: linear interpolation, clamped at the edges."""
    values = _values(inner, (*_SHARES, *_DISTANCES))
    shares, distances = values[: len(_SHARES)], values[len(_SHARES) :]
    return Tissue(*(_share(value) for value in shares), *(_distance_mm(value) for value in distances))


def walls_mm(inner: Points) -> tuple[Floats, Floats]:
    """Signed distances in mm into the cranial cavity, and into the hull that closes it over the skull base."""
    cavity, hull = _values(inner, ("cavity", "hull"))
    return _distance_mm(cavity), _distance_mm(hull)


def hull_mm(inner: Points) -> Floats:
    """Signed distance in mm into the hull, as by `walls_mm`."""
    return _distance_mm(_values(inner, ("hull",))[0])


def _values(inner: Points, names: Sequence[str]) -> list[Floats]:
    index, weights = _neighbours(inner)
    fields, numbers = _fields(), [FIELDS.index(name) for name in names]
    values = [np.zeros(len(index), np.float32) for _ in numbers]
    place, near, part = np.empty_like(index), np.empty(len(index), np.uint64), np.empty(len(index), np.float32)
    columns = near.view(np.uint8).reshape(-1, len(FIELDS))
    for step, weight in weights:
        # Every index is in range; "clip" skips numpy's check.
        fields.take(np.add(index, step, out=place), out=near, mode="clip")
        for value, number in zip(values, numbers, strict=True):
            np.add(value, np.multiply(columns[:, number], weight, out=part), out=value)
    return values


def _share(values: Floats) -> Floats:
    share: Floats = values * np.float32(1 / 255)
    return share


def _distance_mm(values: Floats) -> Floats:
    distance: Floats = values * np.float32(STEP_MM) - np.float32(REACH_MM)
    return distance


def _neighbours(inner: Points) -> tuple[NDArray[np.intp], list[tuple[int, Floats]]]:
    """Index of each point's lowest neighbour, and offset and weight of all eight neighbours.

    An index is below 2 ** 24, so float32 computes it exactly, in less time than integers.
    """
    wholes, parts = [], []
    # The head's frame has x to the left and y to posterior; the template's voxels run to the right and to anterior.
    x, y, z = (np.float32(start) for start in ORIGIN)
    for voxel, size in zip((x - inner.x, y - inner.y, inner.z + z), SHAPE, strict=True):
        np.clip(voxel, 0, np.float32(size - 1.01), out=voxel)
        whole = np.floor(voxel)
        wholes.append(whole)
        parts.append(np.subtract(voxel, whole, out=voxel))
    nx, ny, _ = SHAPE
    index = ((wholes[2] * np.float32(ny) + wholes[1]) * np.float32(nx) + wholes[0]).astype(np.intp)
    fx, fy, fz = parts
    steps = []
    for step_x, weight_x in ((0, 1 - fx), (1, fx)):
        for step_y, weight_y in ((0, 1 - fy), (nx, fy)):
            weight_xy = weight_x * weight_y
            steps += [(step_x + step_y, weight_xy * (1 - fz)), (step_x + step_y + nx * ny, weight_xy * fz)]
    return index, steps


@cache
def _fields() -> NDArray[np.uint64]:
    """All fields of a voxel in eight bytes, computed once and cached in the user's cache folder."""
    path = _cache_folder() / f"atlas-{_fingerprint()}.npy"
    if not path.exists():
        fields = make_fields()
        write_atomically(path, lambda part: _save(part, fields))
    loaded: NDArray[np.uint64] = np.load(path, mmap_mode="r")
    return np.asarray(loaded)


def _save(path: Path, fields: NDArray[np.uint64]) -> None:
    with path.open("wb") as file:
        np.save(file, fields)


def _cache_folder() -> Path:
    """The user's cache folder, or a temporary one where it is not writable, as in a container."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ich-detect"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / "ich-detect"
        folder.mkdir(exist_ok=True)
    return folder


def _fingerprint() -> str:
    """Hash of this module and of the template's volumes."""
    parts = [Path(__file__).read_bytes(), *(_file(name).read_bytes() for name in ("gm", "wm"))]
    return sha256(b"".join(parts)).hexdigest()[:16]


def make_fields() -> NDArray[np.uint64]:
    """Compute the fields of all voxels, (213 * 233 * 197,) uint64, one byte for each of `FIELDS`.

    Neighbours along x, which follow each other in the rows of a slice, lie side by side in memory.
    """
    grey, white = _volume("gm"), _volume("wm")
    tissue = np.minimum(grey.astype(np.int32) + white, 255).astype(np.uint8)
    cavity = _closed(ndimage.binary_fill_holes(tissue > 20), CAVITY_MM)  # noqa: PLR2004 - of 255
    hull = _closed(cavity, HULL_MM)
    cavity |= hull & _no_base()
    csf = np.where(cavity, 255 - tissue, 0).astype(np.float32)
    columns = {
        "grey": grey,
        "white": white,
        "smooth_white": _whole(ndimage.gaussian_filter(white.astype(np.float32), 4)),
        "cavity": _distance(cavity),
        "hull": _distance(hull),
        "ventricle": _distance(_ventricles(tissue, cavity)),
        "tentorium": _distance(_cerebrum(tissue, cavity)),
        "sulcus": _whole(ndimage.gaussian_filter(csf, 1.2)),
    }
    return np.stack([columns[name].ravel(order="F") for name in FIELDS], axis=1).view(np.uint64).ravel()


def _file(name: str) -> Path:
    spec = importlib.util.find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("nilearn, which brings the standard brain, is not installed")
    return Path(spec.origin).parent / "datasets" / "data" / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"


def _volume(name: str) -> Bytes:
    """Read a volume of the template, 255 for a full voxel; its lowest slice is repeated below it."""
    nx, ny, nz = SHAPE
    raw = np.frombuffer(gzip.decompress(_file(name).read_bytes()), np.uint8, offset=_HEADER)
    volume = raw.reshape(nx, ny, nz - BELOW, order="F")
    return np.concatenate([np.repeat(volume[:, :, :1], BELOW, axis=2), volume], axis=2)


def _closed(mask: Mask, radius_mm: float) -> Mask:
    """Morphological closing with a ball, by distances."""
    room = round(radius_mm) + 2
    padded = np.pad(mask, room)
    grown = ndimage.distance_transform_edt(~padded) <= radius_mm
    shrunk = ndimage.distance_transform_edt(grown) > radius_mm
    inner: Mask = shrunk[room:-room, room:-room, room:-room] | mask
    return inner


def _no_base() -> Mask:
    """Region without skull base, in which the clefts between brain and hull hold CSF, falx and sinuses."""
    where = np.zeros(SHAPE, bool)
    where[:, :, ORIGIN[2] + 4 :] = True
    return where | _box((99.0, 58.0, -34.0), (-98.0, 124.0, 4.0))


def _ventricles(tissue: Bytes, cavity: Mask) -> Mask:
    """CSF where ventricles may be, in components larger than a sulcus."""
    csf = cavity & (tissue < 128)  # noqa: PLR2004 - half of a voxel
    csf &= ndimage.distance_transform_edt(cavity) > 14  # noqa: PLR2004 - mm from the skull
    where = np.zeros(SHAPE, bool)
    for start, end in _VENTRICLES:
        where |= _box(start, end) | _box((-start[0], *start[1:]), (-end[0], *end[1:]))
    parts, count = ndimage.label(csf & where)
    sizes = ndimage.sum_labels(csf, parts, np.arange(1, count + 1))
    return np.isin(parts, 1 + np.flatnonzero(sizes > 100))  # noqa: PLR2004 - voxels


# Boxes of the left side in the head's frame, mm, mirrored for the right one.
_VENTRICLES = (
    ((2.0, -32.0, 14.0), (30.0, 48.0, 30.0)),  # bodies
    ((0.0, -34.0, -6.0), (17.0, -4.0, 14.0)),  # frontal horns
    ((9.0, -4.0, 6.0), (30.0, 40.0, 14.0)),
    ((12.0, 20.0, -6.0), (40.0, 46.0, 14.0)),  # atria and occipital horns
    ((22.0, -12.0, -24.0), (40.0, 24.0, -6.0)),  # temporal horns
    ((0.0, -14.0, -12.0), (4.0, 16.0, 10.0)),  # third
    ((0.0, 24.0, -58.0), (13.0, 46.0, -22.0)),  # fourth
)


def _cerebrum(tissue: Bytes, cavity: Mask) -> Mask:
    """The region above the tentorium: it and the region below grow from seeds, through the densest tissue first."""
    above, below = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    above[:, :, ORIGIN[2] + 12 :] = cavity[:, :, ORIGIN[2] + 12 :]
    for seeds, mask in ((_ABOVE, above), (_BELOW, below)):
        for x, y, z in seeds:
            mask[_voxel((x, y, z))] = mask[_voxel((-x, y, z))] = True
    for least in range(250, -1, -25):
        allowed, before = cavity & (tissue >= least), -1
        while before != (before := int(above.sum() + below.sum())):
            above = ndimage.binary_dilation(above, mask=allowed & ~below, iterations=3) | above
            below = ndimage.binary_dilation(below, mask=allowed & ~above, iterations=3) | below
    smooth: Mask = ndimage.gaussian_filter((above | ~(cavity | below)).astype(np.float32), 1.5) > 0.5  # noqa: PLR2004
    return smooth


# White matter of the temporal and occipital lobes; of the cerebellum and the brainstem.
_ABOVE = ((54.0, 10.0, -20.0), (34.0, -12.0, -32.0), (24.0, 74.0, -2.0), (32.0, 40.0, -2.0), (44.0, 24.0, -16.0))
_BELOW = ((24.0, 52.0, -44.0), (0.0, 54.0, -32.0), (0.0, 18.0, -38.0), (40.0, 50.0, -40.0), (12.0, 56.0, -22.0))


def _voxel(place: tuple[float, float, float]) -> tuple[int, int, int]:
    """Voxel at a point of the head's frame."""
    x, y, z = place
    return round(ORIGIN[0] - x), round(ORIGIN[1] - y), round(ORIGIN[2] + z)


def _box(start: tuple[float, float, float], end: tuple[float, float, float]) -> Mask:
    mask = np.zeros(SHAPE, bool)
    low, high = np.sort([_voxel(start), _voxel(end)], axis=0)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


def _distance(mask: Mask) -> Bytes:
    """Signed distance in steps of `STEP_MM` around 127, smoothed over the voxels' corners."""
    distance = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    smooth = ndimage.gaussian_filter(distance.astype(np.float32), 0.8)
    steps: Bytes = np.clip(np.rint((smooth + REACH_MM) / STEP_MM), 0, 255).astype(np.uint8)
    return steps


def _whole(shares: Floats) -> Bytes:
    return np.clip(np.rint(shares), 0, 255).astype(np.uint8)

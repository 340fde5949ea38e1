"""Paints haemorrhages of simple shape into a real series without any, to measure whether a bundle finds them.

Head, scanner and shapes are not the generator's, so a bundle can't profit from phantoms that resemble one another. It
remains one head with painted blood, not a patient with a haemorrhage.
"""
# ruff: noqa: PLR2004 - lengths in mm and Hounsfield units, each beside what it is of

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from services.common.labels import Label
from training.phantom.shapes import Floats
from training.research.realism import MIN_CAVITY_MM2, cavity

Place = tuple[int, int, int]  # slice, row and column
Where = NDArray[np.bool_]  # (n, 256, 256)
VISIBLE_HU, VISIBLE_MM2 = 8, 30.0  # blood is visible in a slice with this area brighter by this much
CSF_HU: Final = 20  # CSF is darker, after smoothing
BEHIND_MM: Final = 22.0  # depth below the skull of ventricles
BESIDE_MM: Final = 30.0  # largest distance of ventricles from the middle


@dataclass(frozen=True, slots=True)
class Sizes:
    """Ranges of the painted haemorrhages: lengths in mm, density in Hounsfield units.

    lens_share : depth of a lens as a share of its radius
    level_share : share of the ventricles near a point above the blood's level
    level_around_mm : radius around that point
    """

    blood_hu: tuple[float, float]
    haematoma_mm: tuple[float, float]
    crescent_mm: tuple[float, float]
    crescent_deep_mm: tuple[float, float]
    lens_mm: tuple[float, float]
    lens_share: tuple[float, float]
    film_mm: tuple[float, float]
    level_share: tuple[float, float]
    level_around_mm: float


LARGE: Final = Sizes(
    blood_hu=(52, 74),
    haematoma_mm=(4, 14),
    crescent_mm=(35, 75),
    crescent_deep_mm=(4, 12),
    lens_mm=(15, 38),
    lens_share=(0.3, 0.6),
    film_mm=(15, 40),
    level_share=(0.1, 0.8),
    level_around_mm=45,
)
# As most patients'. Along the skull they are thicker than the blur of bone.
SMALL: Final = Sizes(
    blood_hu=(46, 68),
    haematoma_mm=(3.5, 9),
    crescent_mm=(10, 28),
    crescent_deep_mm=(4, 9),
    lens_mm=(12, 24),
    lens_share=(0.4, 0.6),
    film_mm=(6, 16),
    level_share=(0.4, 0.9),
    level_around_mm=20,
)


@dataclass(frozen=True, slots=True)
class Head:
    """A real series without haemorrhage.

    hu : (n, 256, 256) float32, Hounsfield units, towards the head
    position_mm : (n,) float32
    depth_mm : (n, 256, 256), distance from the skull within the slice; 0 outside the skull
    """

    hu: Floats
    pixel_mm: float
    position_mm: NDArray[np.float32]
    depth_mm: Floats

    @property
    def wide(self) -> NDArray[np.bool_]:
        """Whether each slice has enough brain for a haemorrhage, (n,)."""
        wide: NDArray[np.bool_] = (self.depth_mm > 0).sum(axis=(1, 2)) * self.pixel_mm**2 >= MIN_CAVITY_MM2
        return wide

    def away_mm(self, place: Place) -> Floats:
        """Distance of every voxel from a place in mm, (n, 256, 256)."""
        slice_, row, column = place
        rows, columns = np.ogrid[: self.hu.shape[1], : self.hu.shape[2]]
        flat = ((rows - row) ** 2 + (columns - column) ** 2) * self.pixel_mm**2
        above = (self.position_mm - self.position_mm[slice_]) ** 2
        away: Floats = np.sqrt(above[:, None, None] + flat[None]).astype(np.float32)
        return away


def make_head(hu: Floats, pixel_mm: float, position_mm: NDArray[np.float32]) -> Head:
    """A head from its slices, (n, 256, 256) Hounsfield units."""
    depth = [ndimage.distance_transform_edt(cavity(slice_)) * pixel_mm for slice_ in hu]
    return Head(hu.astype(np.float32), pixel_mm, position_mm, np.array(depth, np.float32))


def paint(head: Head, kind: Label, rng: np.random.Generator, sizes: Sizes = LARGE) -> Floats:
    """Paint one haemorrhage; return the slices, (n, 256, 256) Hounsfield units.

    It may be invisible, see `visible_slices`. A head without a place for the kind, such as fluid, is returned as is.
    """
    place = _place(head, kind, rng)
    if place is None:
        return head.hu
    share = FORMS[kind](head, place, rng, sizes) * head.wide[:, None, None]
    soft = np.stack([ndimage.gaussian_filter(slice_.astype(np.float32), 0.6) for slice_ in share])
    return _add_blood(head, soft * (head.depth_mm > 0), float(rng.uniform(*sizes.blood_hu)))


def visible_slices(head: Head, made: Floats) -> NDArray[np.bool_]:
    """Whether blood is visible in each slice, by its brighter area; (n,)."""
    bright: NDArray[np.bool_] = (made - head.hu >= VISIBLE_HU).sum(axis=(1, 2)) * head.pixel_mm**2 >= VISIBLE_MM2
    return bright


def _add_blood(head: Head, share: Floats, blood_hu: float) -> Floats:
    """Add blood with the noise of its place, and the brightness that the skull adds there."""
    made = head.hu.copy()
    for number in np.flatnonzero(share.any(axis=(1, 2))):
        hu, depth = head.hu[number], head.depth_mm[number]
        smooth = _mean_inside(hu, depth > 0, 1.2)
        glow = np.maximum(smooth - _mean_inside(hu, depth > 3, 8.0), 0)
        made[number] += share[number] * (blood_hu + glow - smooth)
    return made


def _mean_inside(hu: Floats, where: NDArray[np.bool_], pixels: float) -> Floats:
    """The Gaussian mean of the pixels of a mask."""
    weight = ndimage.gaussian_filter(where.astype(np.float32), pixels)
    mean: Floats = ndimage.gaussian_filter(np.where(where, hu, 0), pixels) / np.maximum(weight, 1e-3)
    return mean


def _place(head: Head, kind: Label, rng: np.random.Generator) -> Place | None:
    """The centre of a haemorrhage; None where the head has no place for its kind."""
    match kind:
        case "intraventricular":
            where = _inner_csf(head)
        case "subarachnoid":
            where = _outer_csf(head)
        case "intraparenchymal":
            where = head.depth_mm > 18
        case _:
            where = (head.depth_mm > 0) & (head.depth_mm < 2)
    slices = np.flatnonzero(head.wide & where.any(axis=(1, 2)))
    if not slices.size:
        return None
    slice_ = int(rng.choice(slices))
    row, column = rng.choice(np.argwhere(where[slice_]))
    return slice_, int(row), int(column)


def _haematoma(head: Head, place: Place, rng: np.random.Generator, sizes: Sizes) -> Where:
    radius = float(rng.uniform(*sizes.haematoma_mm))
    rough = ndimage.gaussian_filter(rng.standard_normal(head.hu.shape[1:]), 4)
    inside: Where = head.away_mm(place) < radius * (1 + 0.15 * rough / rough.std())
    return inside


def _crescent(head: Head, place: Place, rng: np.random.Generator, sizes: Sizes) -> Where:
    away = head.away_mm(place) / rng.uniform(*sizes.crescent_mm)
    inside: Where = head.depth_mm < rng.uniform(*sizes.crescent_deep_mm) * np.sqrt(np.clip(1 - away**2, 0, 1))
    return inside


def _lens(head: Head, place: Place, rng: np.random.Generator, sizes: Sizes) -> Where:
    radius = float(rng.uniform(*sizes.lens_mm))
    away = head.away_mm(place) / radius
    inside: Where = head.depth_mm < min(radius * rng.uniform(*sizes.lens_share), 20) * np.clip(1 - away**2, 0, 1)
    return inside


def _film(head: Head, place: Place, rng: np.random.Generator, sizes: Sizes) -> Where:
    return _outer_csf(head) & (head.away_mm(place) < rng.uniform(*sizes.film_mm))


def _level(head: Head, place: Place, rng: np.random.Generator, sizes: Sizes) -> Where:
    """The lowest part of the ventricles near a point, for a supine patient."""
    inner = _inner_csf(head) & (head.away_mm(place) < sizes.level_around_mm)
    highest = np.quantile(np.nonzero(inner)[1], rng.uniform(*sizes.level_share))
    lowest: Where = inner & (np.arange(head.hu.shape[1])[None, :, None] >= highest)
    return lowest


def _csf(head: Head) -> Where:
    return np.stack([ndimage.gaussian_filter(slice_, 0.8) for slice_ in head.hu]) < CSF_HU


def _outer_csf(head: Head) -> Where:
    found: Where = _csf(head) & (head.depth_mm > 2) & (head.depth_mm < BEHIND_MM)
    return found


def _inner_csf(head: Head) -> Where:
    """Ventricles: fluid near the middle, which excludes old infarcts."""
    inner = head.depth_mm > BEHIND_MM
    middle = np.median(np.nonzero(inner)[2]) if inner.any() else 0
    beside_mm = np.abs(np.arange(head.hu.shape[2]) - middle) * head.pixel_mm
    found: Where = _csf(head) & inner & (beside_mm < BESIDE_MM)
    return found


FORMS: Final[Mapping[Label, Callable[[Head, Place, np.random.Generator, Sizes], Where]]] = {
    "epidural": _lens,
    "intraparenchymal": _haematoma,
    "intraventricular": _level,
    "subarachnoid": _film,
    "subdural": _crescent,
}

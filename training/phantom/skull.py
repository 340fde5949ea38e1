"""Vault, skull base, scalp and face: the head outside the dura."""
# ruff: noqa: PLR2004 - lengths in mm and Hounsfield units, named by their context

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.phantom.geometry import Points
from training.phantom.head import Head, draw_head, standard, vault_mm, walls_mm
from training.phantom.noise import sample, waves
from training.phantom.shapes import Floats, bump, ramp

RIDGE_MM = 15  # wavelength of the skull base's ridges
BROW_MM = -16
NEAR_MM = 16  # the vault ends at this distance from the cavity, where its hull bridges the neck


@dataclass(frozen=True, slots=True)
class Hole:
    """Bone removed by surgery, as a ball."""

    centre_mm: tuple[float, float, float]
    radius_mm: float
    closed: bool  # the bone flap is in place, with a thin gap around it


@dataclass(frozen=True, slots=True)
class Skull:
    """Properties of bones and scalp."""

    head: Head
    thickness_mm: float
    uneven: float
    table_hu: float
    diploe_hu: float
    diploe: float  # share of the thickness between the tables
    base_hu: float
    cells: float  # amount of air in the skull base
    ridges_mm: float  # height of the base's ridges in the cavity, and depth of its pits
    scalp_mm: float
    fat_hu: float
    muscle_hu: float
    sutures_mm: float
    hyperostosis_mm: float  # frontal inward growth of bone
    holes: tuple[Hole, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Depths:
    """Signed distances in mm, positive inside; (n,) float32 each."""

    vault: Floats  # from the inner table, without skull base
    cavity: Floats  # from the dura
    skin: Floats

    def at(self, index: NDArray[np.intp]) -> "Depths":
        """The depths at some indices."""
        return Depths(self.vault[index], self.cavity[index], self.skin[index])


def draw_skull(rng: np.random.Generator) -> Skull:
    """Draw an adult's skull; the variation exceeds that of adults."""
    return Skull(
        head=draw_head(rng),
        thickness_mm=float(rng.uniform(4.2, 9.5)),
        uneven=float(rng.uniform(0.05, 0.3)),
        table_hu=float(rng.uniform(1000, 1800)),
        diploe_hu=float(rng.uniform(280, 850)),
        diploe=float(rng.uniform(0.2, 0.6)),
        base_hu=float(rng.uniform(450, 950)),
        cells=float(rng.uniform(-0.3, 0.9)),
        ridges_mm=float(rng.uniform(0, 6)),
        scalp_mm=float(rng.uniform(2.5, 9)),
        fat_hu=float(rng.uniform(-115, -70)),
        muscle_hu=float(rng.uniform(38, 68)),
        sutures_mm=float(rng.choice([0, rng.uniform(0.3, 0.9)])),
        hyperostosis_mm=float(rng.choice([0, rng.uniform(1, 6)], p=[0.88, 0.12])),
        holes=(),
        seed=int(rng.integers(1 << 16)),
    )


def depths(skull: Skull, points: Points) -> Depths:
    """Depth of points inside the vault, inside the dura and under the skin."""
    inner = standard(skull.head, points)
    cavity, hull = walls_mm(skull.head, inner)
    vault = hull
    if skull.hyperostosis_mm:
        rough = np.clip(waves(points.x, points.y, points.z, wavelength_mm=22, offset=skull.seed + 9) + 0.4, 0, 2)
        grown = np.float32(skull.hyperostosis_mm) * rough * bump(points.x / 40, (points.y + 70) / 30, points.z / 45)
        cavity, vault = cavity - grown, vault - grown
    cavity = _ridged(skull, points, cavity, vault)
    return Depths(vault, np.minimum(cavity, vault), _skin_mm(skull, points, inner, hull))


def skin_mm(skull: Skull, points: Points) -> Floats:
    """Depth of points under the skin, as in `depths`."""
    inner = standard(skull.head, points)
    return _skin_mm(skull, points, inner, vault_mm(skull.head, inner))


def _skin_mm(skull: Skull, points: Points, inner: Points, hull: Floats) -> Floats:
    column = _column(skull.head, inner, hull)
    face = bump(points.x / 40, (points.y + 70) / 30, (points.z + 55) / 35) * 8
    temporal = bump((np.abs(points.x) - 62) / 16, (points.y + 22) / 28, (points.z + 12) / 26) * 7
    neck = np.clip((points.z + 60) * np.float32(0.25), -12, 0)
    slow = waves(points.x, points.y, points.z, wavelength_mm=90, offset=skull.seed + 6)
    scalp = np.float32(skull.scalp_mm) * (1 + 0.2 * slow)
    skin: Floats = column + np.float32(skull.thickness_mm) + scalp + face + temporal + neck
    return skin.astype(np.float32, copy=False)


def _column(head: Head, inner: Points, hull: Floats) -> Floats:
    """Depth of standard points in the hull; below the brow, where the skin is vertical, as at the brow."""
    below = np.flatnonzero(inner.z < BROW_MM)
    column = hull.copy()
    under = inner.at(below)
    column[below] = vault_mm(head, Points(under.x, under.y, np.full_like(under.z, BROW_MM)))
    return column


def _ridged(skull: Skull, points: Points, cavity: Floats, vault: Floats) -> Floats:
    """Cavity over an uneven base: ridges, seen as haze in thick slices, and the impressions of gyri."""
    base = np.flatnonzero((vault - cavity > 1) & (np.abs(cavity) < 2 * RIDGE_MM))
    if not base.size or not skull.ridges_mm:
        return cavity
    x, y, z = points.x[base], points.y[base], points.z[base]
    uneven = sample(x, y, z, wavelength_mm=RIDGE_MM, offset=skull.seed + 12)
    share = np.clip((vault[base] - cavity[base] - 1) / 3, 0, 1) * np.clip(2 - np.abs(cavity[base]) / RIDGE_MM, 0, 1)
    moved = cavity.copy()
    moved[base] -= np.float32(skull.ridges_mm / 2) * share * (uneven + np.float32(0.4))
    return moved


def tissue(skull: Skull, points: Points, depth: Depths) -> Floats:
    """Hounsfield units of bone, scalp, face and air, (n,) float32; `brain` fills the cavity."""
    texture = sample(points.x, points.y, points.z, wavelength_mm=9, offset=skull.seed + 1)
    hu = _soft(skull, points, depth, texture)
    _fill_face(hu, points, depth, texture)
    _fill_base(hu, skull, points, depth, texture)
    _fill_vault(hu, skull, points, depth, texture)
    hu[depth.skin < 0] = -1000
    return hu


def _soft(skull: Skull, points: Points, depth: Depths, texture: Floats) -> Floats:
    """Scalp and soft tissue below the skull: skin, fat, muscle."""
    slow = sample(points.x, points.y, points.z, wavelength_mm=28, offset=skull.seed + 3)
    layered = 0.6 * slow + 0.3 * texture + ramp((depth.skin - np.float32(skull.scalp_mm)) / 2) * 2 - 1
    muscle = ramp(layered * 4)
    hu = np.float32(skull.fat_hu) + muscle * np.float32(skull.muscle_hu - skull.fat_hu)
    skin = depth.skin < 1.8
    hu[skin] = 30 + 12 * texture[skin]
    return hu + texture * 3


def _fill_vault(hu: Floats, skull: Skull, points: Points, depth: Depths, texture: Floats) -> None:
    """Two tables with diploe between them, sutures, and surgical openings."""
    near = np.flatnonzero((depth.vault <= 0) & (depth.cavity > -NEAR_MM) & (depth.vault > -1.75 * skull.thickness_mm))
    points, depth, texture = points.at(near), depth.at(near), texture[near]
    slow = waves(points.x, points.y, points.z, wavelength_mm=75, offset=skull.seed + 4)
    thickness = np.float32(skull.thickness_mm) * np.clip(1 + np.float32(skull.uneven) * slow, 0.5, 1.7)
    across = -depth.vault / thickness
    wall = (across >= 0) & (across <= 1)
    table = ramp((np.abs(across - 0.5) - np.float32(skull.diploe / 2)) / 0.06)
    bone = np.float32(skull.diploe_hu) * (1 + 0.18 * texture)
    bone += (np.float32(skull.table_hu) * (1 + 0.05 * slow) - bone) * table
    if skull.sutures_mm:
        bone -= bone * 0.75 * ramp((np.float32(skull.sutures_mm) - _suture_mm(points, texture)) * 2)
    for hole in skull.holes:
        _open(bone, hole, points, texture)
    hu[near[wall]] = bone[wall]


def _suture_mm(points: Points, texture: Floats) -> Floats:
    """Distance from the coronal, sagittal and lambdoid suture, roughly."""
    wave = 1.5 * texture
    side = np.abs(points.x)
    coronal = np.abs(points.y + 22 - 0.28 * (points.z - 40) + wave)
    sagittal = np.where((points.y > -20) & (points.z > 30), side + 0.5 * wave, np.float32(99))
    lambdoid = np.where(points.y > 30, np.abs(points.z - 30 + 0.9 * (side - 10) + wave), np.float32(99))
    high = np.where(points.z > -5, np.float32(0), np.float32(99))
    nearest: Floats = np.minimum(np.minimum(coronal, sagittal), lambdoid) + high
    return nearest


def _open(bone: Floats, hole: Hole, points: Points, texture: Floats) -> None:
    """A burr hole or a craniotomy: soft tissue instead of bone, or a flap with a cut around it."""
    away = points.distance(hole.centre_mm) - np.float32(hole.radius_mm)
    gone = np.abs(away) < 1.3 if hole.closed else away < 0
    bone[gone] = 28 + 10 * texture[gone]


def _fill_base(hu: Floats, skull: Skull, points: Points, depth: Depths, texture: Floats) -> None:
    """Between the cavity and its hull: spongy bone of the base, dense petrous ridges, air cells and sinuses."""
    near = np.flatnonzero((depth.vault > -1) & (depth.cavity <= 0))
    points, depth, texture = points.at(near), depth.at(near), texture[near]
    side = np.abs(points.x)
    petrous = bump((points.y - 10 - 0.5 * (side - 20)) / 9, (side - 34) / 18, (points.z + 30) / 12)
    middle = bump(points.x / 20, (points.y - 2) / 22, (points.z + 40) / 22)
    thickness = 6 + 16 * np.maximum(petrous, middle)
    base = depth.cavity > -thickness
    rim = ramp((depth.cavity + 2.6) / 0.7)  # a compact layer under the dura
    slow = sample(points.x, points.y, points.z, wavelength_mm=17, offset=skull.seed + 5)
    spongy = np.float32(skull.base_hu) * (0.62 + 0.2 * texture + 0.15 * slow)
    dense = spongy + (np.float32(skull.base_hu + 250) - spongy) * rim + 650 * petrous
    hu[near[base]] = dense[base]
    mastoid = bump((side - 50) / 13, (points.y - 24) / 16, (points.z + 36) / 20)
    sphenoid = bump(points.x / 15, (points.y + 8) / 15, (points.z + 34) / 10)
    airy = 1.5 * np.maximum(mastoid, sphenoid) + 0.4 * texture + np.float32(skull.cells) - 1.15
    hu[near[base & (airy > 0) & (depth.cavity < -2.2)]] = -900


def _fill_face(hu: Floats, points: Points, depth: Depths, texture: Floats) -> None:
    """Orbits and air spaces, in coarse form, since the networks see little of them."""
    near = np.flatnonzero(points.z < -8)
    if near.size:
        part = hu[near]
        _fill_low_face(part, points.at(near), depth.at(near), texture[near])
        hu[near] = part


def _fill_low_face(hu: Floats, points: Points, depth: Depths, texture: Floats) -> None:
    side, under = np.abs(points.x), (depth.cavity < -2) & (depth.skin > 3)
    slow = sample(points.x, points.y, points.z, wavelength_mm=34, offset=77)
    bones = under & (np.abs(texture) < 0.16 * np.clip(slow, 0, 2)) & (points.y < 10) & (side < 58)
    hu[bones] = 480
    orbit = ((side - 30) / 18) ** 2 + ((points.y + 60) / 27) ** 2 + ((points.z + 31) / 17) ** 2
    hu[under & (orbit < 1.3)] = 500
    hu[under & (orbit < 1)] = -85
    nerve = (side - 16 - (-points.y - 30) * 0.3) ** 2 + (points.z + 30) ** 2
    hu[under & (orbit < 1) & (nerve < 9)] = 38
    globe = (side - 31) ** 2 + (points.y + 73) ** 2 + (points.z + 31) ** 2
    hu[(globe < 13.5**2) & (depth.skin > 0)] = 45
    hu[(globe < 12**2) & (depth.skin > 0)] = 10
    for half, (x, y, z), (rx, ry, rz) in _AIR:
        space = (
            ((side if half else points.x) - x) ** 2 / rx**2 + (points.y - y) ** 2 / ry**2 + (points.z - z) ** 2 / rz**2
        )
        hu[under & (space < 1.15)] = 420
        hu[under & (space < 0.9) & (np.abs(texture) > 0.12)] = -990


# Air spaces below the skull: bilateral or not, centre and half axes in mm.
_AIR = (
    (True, (28.0, -58.0, -66.0), (15.0, 17.0, 18.0)),  # maxillary
    (True, (9.0, -52.0, -38.0), (9.0, 24.0, 12.0)),  # ethmoid
    (False, (0.0, -45.0, -68.0), (11.0, 34.0, 22.0)),  # nose
    (False, (0.0, 4.0, -88.0), (13.0, 8.0, 14.0)),  # pharynx
)

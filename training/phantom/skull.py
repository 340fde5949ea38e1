"""Vault, skull base, scalp and face: everything of the head that is not inside the dura."""
# ruff: noqa: PLR2004 - lengths in mm and Hounsfield units, each beside what it is of

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.phantom.geometry import Points
from training.phantom.noise import sample
from training.phantom.shapes import Floats, bump, ramp

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Skull:
    """One head's bones. Lengths in mm from the origin to the inner table unless said otherwise."""

    half_width_mm: float
    half_length_mm: float
    height_mm: float
    egg: float  # how much wider the back is than the front
    squareness: float
    asymmetry: float
    wobble_mm: float
    thickness_mm: float
    table_hu: float
    diploe_hu: float
    base_shift_mm: float
    cells: float  # how much air the skull base holds
    scalp_mm: float
    fat_hu: float
    muscle_hu: float
    seed: int


@dataclass(frozen=True, slots=True)
class Depths:
    """Signed distances in mm, positive inside; (n,) float32 each."""

    vault: Floats  # from the inner table
    floor: Floats  # above the skull base
    skin: Floats

    @property
    def cavity(self) -> Floats:
        """Inside the cranial cavity where positive."""
        return np.minimum(self.vault, self.floor)

    def at(self, index: NDArray[np.intp]) -> "Depths":
        """Those of some of the points."""
        return Depths(self.vault[index], self.floor[index], self.skin[index])


def draw_skull(rng: np.random.Generator) -> Skull:
    """A skull of an adult, more varied than adults are."""
    return Skull(
        half_width_mm=float(rng.normal(67, 3.5)),
        half_length_mm=float(rng.normal(83, 4.5)),
        height_mm=float(rng.normal(74, 4)),
        egg=float(rng.uniform(0.02, 0.16)),
        squareness=float(rng.uniform(-0.1, 0.25)),
        asymmetry=float(rng.normal(0, 0.03)),
        wobble_mm=float(rng.uniform(0, 2)),
        thickness_mm=float(rng.uniform(4.5, 9)),
        table_hu=float(rng.uniform(1050, 1750)),
        diploe_hu=float(rng.uniform(300, 850)),
        base_shift_mm=float(rng.normal(0, 4)),
        cells=float(rng.uniform(-0.3, 0.9)),
        scalp_mm=float(rng.uniform(3, 8)),
        fat_hu=float(rng.uniform(-115, -75)),
        muscle_hu=float(rng.uniform(40, 66)),
        seed=int(rng.integers(1 << 16)),
    )


def depths(skull: Skull, points: Points) -> Depths:
    """How deep points lie inside the vault, above the skull base and under the skin."""
    wobble = sample(points.x, points.y, points.z, wavelength_mm=90, offset=skull.seed) * np.float32(skull.wobble_mm)
    vault = _inside(skull, points, points.z) + wobble
    cylinder = _inside(skull, points, np.maximum(points.z, np.float32(-14)))
    face = bump(points.x / 40, (points.y + 70) / 30, (points.z + 55) / 35) * 8
    temporal = bump((np.abs(points.x) - 62) / 16, (points.y + 22) / 28, (points.z + 12) / 26) * 7
    neck = np.clip((points.z + 60) * np.float32(0.25), -12, 0)
    skin = cylinder + wobble + np.float32(skull.thickness_mm + skull.scalp_mm) + face + temporal + neck
    return Depths(vault, (points.z - _floor(skull, points)) * np.float32(0.8), skin)


def tissue(skull: Skull, points: Points, depth: Depths) -> Floats:
    """Hounsfield units of bone, scalp, face and air, (n,) float32; the cavity is left to `brain`."""
    texture = sample(points.x, points.y, points.z, wavelength_mm=9, offset=skull.seed + 1)
    hu = _soft(skull, points, depth, texture)
    _fill_face(hu, points, depth, texture)
    _fill_bone(hu, skull, points, depth, texture)
    hu[depth.skin < 0] = -1000
    return hu


def _inside(skull: Skull, points: Points, z: Floats) -> Floats:
    y = points.y * np.float32(1 / skull.half_length_mm)
    x = points.x * np.float32(1 / skull.half_width_mm)
    x = x * (1 + np.float32(skull.asymmetry) * np.sign(x) * y) / (1 + np.float32(skull.egg) * np.clip(y, -1.2, 1.2))
    vertical = np.where(z > 0, z * np.float32(1 / skull.height_mm), z * np.float32(1 / 88))
    squares = x * x + y * y + vertical * vertical
    squares -= np.float32(skull.squareness) * np.minimum(x * x * y * y, 1)
    norm = np.sqrt(np.maximum(squares, np.float32(1e-3)))
    radius = np.sqrt(points.x**2 + points.y**2 + z * z) + np.float32(1)
    distance: Floats = radius * (1 / norm - 1) * np.float32(0.97)
    return distance


def _floor(skull: Skull, points: Points) -> Floats:
    """Height of the skull base's inner surface: three fossae, the petrous ridges, the sella and the great foramen."""
    side, y = np.abs(points.x), points.y
    bumps = sample(points.x, points.y, points.z * 0, wavelength_mm=30, offset=skull.seed + 2) * 2
    anterior = -15 - 7 * bump(side / 9, y / 200) + 4 * bump((side - 30) / 14, (y + 55) / 22)
    middle = -38 + 17 * ramp((14 - side) / 2) - 5 * bump(side / 9, (y + 4) / 5)
    ridge_mm = (y - 4 - 0.58 * (side - 14)) * 0.86
    posterior = -56 + 10 * ramp((side - 38) / 6)
    posterior -= 150 * ramp((1 - np.sqrt((side / 15) ** 2 + ((y - 31) / 17) ** 2)) * 6)
    height = middle + (posterior - middle) * ramp(ridge_mm / 2.5)
    height = np.maximum(height, np.where(side > 12, -21 - np.abs(ridge_mm) * 1.7, -18 - np.abs(y - 4) * 2.4))
    height = height + (anterior - height) * ramp((-10 - 0.5 * side - y) / 2.5)
    result: Floats = (height + bumps + np.float32(skull.base_shift_mm)).astype(np.float32)
    return result


def _soft(skull: Skull, points: Points, depth: Depths, texture: Floats) -> Floats:
    """Scalp and the soft parts below the skull: skin, fat, muscle."""
    slow = sample(points.x, points.y, points.z, wavelength_mm=28, offset=skull.seed + 3)
    layered = 0.6 * slow + 0.3 * texture + ramp((depth.skin - np.float32(skull.scalp_mm)) / 2) * 2 - 1
    muscle = ramp(layered * 4)
    hu = np.float32(skull.fat_hu) + muscle * np.float32(skull.muscle_hu - skull.fat_hu)
    skin = depth.skin < 1.8
    hu[skin] = 30 + 12 * texture[skin]
    return hu + texture * 3


def _fill_bone(hu: Floats, skull: Skull, points: Points, depth: Depths, texture: Floats) -> None:
    slow = sample(points.x, points.y, points.z, wavelength_mm=75, offset=skull.seed + 4)
    thickness = np.float32(skull.thickness_mm) * np.clip(1 + 0.22 * slow, 0.5, 1.6)
    across = -depth.vault / thickness
    wall = (across >= 0) & (across <= 1) & (depth.floor > -9)
    table = ramp((np.abs(across - 0.5) - 0.24) / 0.05)
    compact = np.float32(skull.diploe_hu) * (1 + 0.18 * texture)
    compact += (np.float32(skull.table_hu) - compact) * table
    np.copyto(hu, compact, where=wall)
    petrous = bump((points.y - 4 - 0.58 * (np.abs(points.x) - 14)) / 11, (np.abs(points.x) - 36) / 20)
    base_mm = 3 + 4 * ramp((points.y + 20) / 8) + 20 * petrous + 14 * bump(points.x / 13, (points.y - 3) / 12)
    base = (depth.floor <= 0) & (depth.floor > -base_mm) & (across < 1)
    dense = 620 + 130 * texture + 700 * petrous * (np.abs(points.x) < 40)
    dense[(texture > 1.25 - np.float32(skull.cells)) & (depth.floor < -3.5)] = -850
    np.copyto(hu, dense.astype(np.float32), where=base)


def _fill_face(hu: Floats, points: Points, depth: Depths, texture: Floats) -> None:
    """Orbits and air spaces; rough, as the networks are shown little of them."""
    side, under = np.abs(points.x), (depth.floor < -2) & (depth.skin > 3)
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


# Air spaces below the skull: on both sides or one in the middle, centre and half axes in mm.
_AIR = (
    (True, (28.0, -58.0, -66.0), (15.0, 17.0, 18.0)),  # maxillary
    (True, (9.0, -52.0, -38.0), (9.0, 24.0, 12.0)),  # ethmoid
    (False, (0.0, -12.0, -36.0), (14.0, 11.0, 9.0)),  # sphenoid
    (False, (0.0, -45.0, -68.0), (11.0, 34.0, 22.0)),  # nose
    (True, (54.0, 32.0, -42.0), (11.0, 12.0, 15.0)),  # mastoid
    (False, (0.0, 4.0, -78.0), (13.0, 8.0, 14.0)),  # pharynx
)

"""Bright or dark structures that are no haemorrhage: calcification, vessels, infarcts, tumours, catheters, air."""
# ruff: noqa: PLR2004 - lengths in mm and Hounsfield units, named by their context

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from training.phantom.brain import Anatomy, Brain
from training.phantom.geometry import Points
from training.phantom.haemorrhages import Blood, Crescent, density
from training.phantom.locations import in_brain, on_vault, outwards
from training.phantom.noise import sample
from training.phantom.shapes import Floats
from training.phantom.skull import Depths, Hole, Skull

Place = tuple[float, float, float]
MIMICKING: Final = 0.5  # share of studies with a mimic, where the options leave it open


@dataclass(frozen=True, slots=True)
class Grain:
    """An ellipsoid of one density with a soft edge: a calcification, a vessel, an infarct, a tumour."""

    centre_mm: Place
    radii_mm: Place
    hu: float
    share: float  # of the tissue that it replaces at its middle
    rough: float
    seed: int
    soft_mm: float = 1.0  # width of its edge


@dataclass(frozen=True, slots=True)
class Rod:
    """A catheter, from its tip outwards."""

    tip_mm: Place
    end_mm: Place
    radius_mm: float
    hu: float


@dataclass(frozen=True, slots=True)
class Swelling:
    """Blood or fluid in the scalp, outside the skull: no intracranial haemorrhage."""

    centre_mm: Place
    radius_mm: float
    thickness_mm: float
    hu: float


@dataclass(frozen=True, slots=True)
class Mimics:
    """All structures of a study that are no haemorrhage and may look like one.

    contrast_hu : enhancement of the venous sinuses by contrast agent; 0 without
    """

    grains: tuple[Grain, ...] = ()
    rods: tuple[Rod, ...] = ()
    swellings: tuple[Swelling, ...] = ()
    fluids: tuple[Crescent, ...] = ()
    holes: tuple[Hole, ...] = ()
    contrast_hu: float = 0.0

    def __add__(self, other: "Mimics") -> "Mimics":
        return Mimics(
            self.grains + other.grains,
            self.rods + other.rods,
            self.swellings + other.swellings,
            self.fluids + other.fluids,
            self.holes + other.holes,
            max(self.contrast_hu, other.contrast_hu),
        )


def draw_mimics(rng: np.random.Generator, skull: Skull, *, wanted: bool | None = None) -> Mimics:
    """Draw the structures of every brain and, in half of the studies or as `wanted`, one to three mimics."""
    found = Mimics((*_pineal(rng), *_choroid(rng), *_vessels(rng), *_deep_veins(rng)))
    mimicking = rng.random() < MIMICKING
    if mimicking if wanted is None else wanted:
        for kind in rng.choice(len(KINDS), int(rng.choice([1, 2, 3], p=[0.6, 0.28, 0.12])), replace=False):
            found += KINDS[kind](rng, skull)
    return found


def with_contrast_agent(brain: Brain, mimics: Mimics) -> Brain:
    """Return the brain with the enhancement of the contrast agent, if any."""
    more = mimics.contrast_hu
    if not more:
        return brain
    return replace(
        brain,
        sinus_hu=brain.sinus_hu + more,
        dura_hu=brain.dura_hu + 0.5 * more,
        falx=max(brain.falx, 0.7),
        grey_hu=brain.grey_hu + 0.04 * more,
        white_lower_hu=brain.white_lower_hu + 0.02 * more,
    )


def fill_brain(hu: Floats, mimics: Mimics, anatomy: Anatomy) -> None:
    """Add mimics to the tissue of the cavity, in place."""
    for fluid in mimics.fluids:
        hu += (density(fluid.blood, anatomy) - hu) * fluid.fraction(anatomy)
    low, high = (float(edge) for edge in (anatomy.points.z.min(), anatomy.points.z.max()))
    for grain in mimics.grains:
        middle, half = grain.centre_mm[2], _reach(grain) * grain.radii_mm[2] + 1  # 1 mm for rounding
        if low < middle + half and high > middle - half:
            _fill_grain(hu, grain, anatomy.points)
    for rod in mimics.rods:
        _fill_rod(hu, rod, anatomy.points)


def _reach(grain: Grain) -> float:
    """The distance from its centre that a grain may reach, in radii."""
    return 1.5 + grain.soft_mm / min(grain.radii_mm)


def _fill_grain(hu: Floats, grain: Grain, points: Points) -> None:
    (x, y, z), (rx, ry, rz) = grain.centre_mm, grain.radii_mm
    reach = _reach(grain)
    near = np.flatnonzero(
        (np.abs(points.x - x) < reach * rx) & (np.abs(points.y - y) < reach * ry) & (np.abs(points.z - z) < reach * rz)
    )
    if near.size:
        q = points.at(near)
        norm = np.sqrt(((q.x - x) / rx) ** 2 + ((q.y - y) / ry) ** 2 + ((q.z - z) / rz) ** 2)
        norm += grain.rough * sample(q.x, q.y, q.z, wavelength_mm=max(1.5 * rx, 4), offset=grain.seed)
        share = np.clip((1.0 - norm) * min(rx, rz) / grain.soft_mm + 0.5, 0, 1) * grain.share
        hu[near] += (np.float32(grain.hu) - hu[near]) * share


def _fill_rod(hu: Floats, rod: Rod, points: Points) -> None:
    tip, way = np.array(rod.tip_mm, np.float32), np.array(rod.end_mm, np.float32) - np.array(rod.tip_mm, np.float32)
    x, y, z = points.x - tip[0], points.y - tip[1], points.z - tip[2]
    along = np.clip((x * way[0] + y * way[1] + z * way[2]) / np.float32(way @ way), 0, 1)
    away = np.sqrt((x - along * way[0]) ** 2 + (y - along * way[1]) ** 2 + (z - along * way[2]) ** 2)
    hu += (np.float32(rod.hu) - hu) * np.clip(np.float32(rod.radius_mm) - away + np.float32(0.5), 0, 1)


def fill_scalp(hu: Floats, mimics: Mimics, points: Points, depth: Depths, skull_mm: float) -> None:
    """Add swellings between skull and skin, in place."""
    for swelling in mimics.swellings:
        away = points.distance(swelling.centre_mm) / np.float32(swelling.radius_mm)
        outside = -depth.vault - np.float32(skull_mm * 1.3)
        inside = (outside > 0) & (outside < swelling.thickness_mm * (1 - away**2)) & (points.z > -30)
        np.copyto(hu, np.float32(swelling.hu), where=inside)


def fill_headrest(hu: Floats, points: Points, seed: int) -> None:
    """Add a headrest under the head, in place, where there is air."""
    if seed % 3 == 0:
        return
    width, behind = 92.0 + seed % 17, 40.0 + seed % 23
    norm = np.sqrt((points.x / width) ** 2 + (np.maximum(points.y - behind, -30) / 78) ** 2)
    shell = (np.abs(norm - 1.02) < 0.016) & (points.y > behind - 20 - seed % 29) & (hu < -500)
    hu[shell] = 60 + seed % 400
    foam = (norm < 1.02) & (points.y > behind) & (hu < -900)
    hu[foam] = -960


def grain(
    rng: np.random.Generator, place: Place, radii: Place, *, hu: float, share: float, soft_mm: float = 1.0
) -> Grain:
    """Draw the surface of an ellipsoid."""
    return Grain(place, radii, hu, share, float(rng.uniform(0, 0.35)), int(rng.integers(1 << 16)), soft_mm)


def _pineal(rng: np.random.Generator) -> list[Grain]:
    if rng.random() < 0.35:
        return []
    radius, hu = float(rng.uniform(1.2, 4)), float(rng.uniform(80, 380))
    return [grain(rng, (float(rng.normal(0, 1)), 22.0, float(rng.normal(1, 2))), (radius,) * 3, hu=hu, share=0.9)]


def _choroid(rng: np.random.Generator) -> list[Grain]:
    radius, hu, chance = float(rng.uniform(1.2, 4.5)), float(rng.uniform(50, 380)), rng.uniform(0, 1)
    sides = [side for side in (-1, 1) if rng.random() < chance]
    return [grain(rng, (side * 22.0, 30.0, 9.0), (radius, radius * 1.6, radius), hu=hu, share=0.8) for side in sides]


def _vessels(rng: np.random.Generator) -> list[Grain]:
    """The carotids, the basilar artery and the middle cerebral arteries, sometimes with calcified walls."""
    hu, share = float(rng.uniform(42, 64)), float(rng.uniform(0, 1))
    calcified_hu = float(rng.uniform(120, 600)) if rng.random() < 0.25 else hu
    grains = [grain(rng, (float(rng.normal(0, 1)), 2.0, -22.0), (1.8, 1.8, 10.0), hu=hu, share=share)]
    for side in (-1.0, 1.0):
        grains.append(grain(rng, (side * 11, -10.0, -18.0), (2.0, 2.0, 5.0), hu=calcified_hu, share=share))
        grains.append(grain(rng, (side * 24, -10.0, -15.0), (11.0, 1.6, 1.6), hu=hu, share=share * 0.9))
    return grains


def _deep_veins(rng: np.random.Generator) -> list[Grain]:
    """The internal cerebral veins and the great vein behind the pineal gland, at the site of cisternal blood."""
    hu, share = float(rng.uniform(42, 66)), float(rng.uniform(0, 1))
    middle = float(rng.normal(0, 0.8))
    inner = grain(rng, (middle, 10.0, 8.0), (2.0, 10.0, 1.7), hu=hu, share=share * 0.9)
    return [inner, grain(rng, (middle, 31.0, 5.0), (2.4, 6.0, 3.2), hu=hu, share=share)]


def _calcification(rng: np.random.Generator, skull: Skull) -> Mimics:
    """Calcification of the basal ganglia, of the falx, or anywhere."""
    kind, hu = rng.integers(3), float(rng.uniform(70, 400))
    if kind == 0:
        share, radii = float(rng.uniform(0.2, 0.9)), rng.uniform(1, 4, 3)
        size = (float(radii[0]), float(radii[1]) * 1.8, float(radii[2]))
        return Mimics(tuple(grain(rng, (side * 19.0, -2.0, 1.0), size, hu=hu, share=share) for side in (-1, 1)))
    if kind == 1:
        place = (0.0, float(rng.uniform(-65, -25)), float(rng.uniform(20, 60)))
        size = (1.4, float(rng.uniform(2, 8)), float(rng.uniform(2, 6)))
        return Mimics((grain(rng, place, size, hu=hu + 150, share=1),))
    places = [in_brain(rng, skull, 3) for _ in range(int(rng.integers(1, 4)))]
    sizes = [float(rng.uniform(0.8, 4)) for _ in places]
    return Mimics(tuple(grain(rng, p, (r, r, r), hu=hu + 60, share=0.95) for p, r in zip(places, sizes, strict=True)))


def _infarct(rng: np.random.Generator, skull: Skull) -> Mimics:
    """Chronic ones like CSF, acute ones hardly darker than brain; some with a dense artery."""
    grains = []
    for _ in range(int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))):
        size = float(rng.choice([rng.uniform(2, 6), rng.uniform(8, 30)]))
        stretch = np.exp(rng.normal(0, 0.3, 3)) * size
        old = rng.random() < 0.5
        grains.append(
            Grain(
                in_brain(rng, skull, size * 0.6),
                (float(stretch[0]), float(stretch[1]), float(stretch[2])),
                hu=float(rng.uniform(4, 16) if old else rng.uniform(18, 26)),
                share=float(rng.uniform(0.6, 1)),
                rough=float(rng.uniform(0.1, 0.4)),
                seed=int(rng.integers(1 << 16)),
                soft_mm=float(rng.uniform(1, 5)),
            )
        )
    if rng.random() < 0.3:
        side = float(rng.choice([-1, 1]))
        grains.append(
            grain(rng, (side * 24, -10.0, -15.0), (12.0, 1.8, 1.8), hu=float(rng.uniform(60, 78)), share=0.95)
        )
    return Mimics(tuple(grains))


def _tumour(rng: np.random.Generator, skull: Skull) -> Mimics:
    """A dense meningioma on the dura, or a hypodense or ring-shaped tumour with oedema in the brain."""
    radius = float(rng.uniform(5, 22))
    if rng.random() < 0.5:
        place = on_vault(rng, skull, lowest=-0.3, highest=0.95)
        hu, share = float(rng.uniform(44, 60)), float(rng.uniform(0.6, 1))
        return Mimics((grain(rng, place, (radius, radius, radius), hu=hu, share=share),))
    place = in_brain(rng, skull, radius)
    wide = radius * float(rng.uniform(1.1, 2))
    oedema = Grain(place, (wide, wide, wide), float(rng.uniform(16, 24)), 0.8, 0.35, int(rng.integers(1 << 16)), 6)
    core = float(rng.uniform(12, 24)) if rng.random() < 0.5 else float(rng.uniform(32, 50))
    ring = grain(rng, place, (radius, radius, radius), hu=float(rng.uniform(34, 52)), share=0.9)
    middle = replace(ring, radii_mm=(radius * 0.75,) * 3, hu=core)
    return Mimics((oedema, ring, middle))


def _contrast(rng: np.random.Generator, skull: Skull) -> Mimics:  # noqa: ARG001 - all kinds have one signature
    more, chance = float(rng.uniform(25, 110)), rng.uniform(0.3, 1)
    grains = [replace(vessel, hu=50 + more, share=0.9) for vessel in _vessels(rng)]
    sides = [side for side in (-1.0, 1.0) if rng.random() < chance]
    plexus = [grain(rng, (x * 22, 30.0, 8.0), (2.5, 6.0, 3.0), hu=40 + 0.7 * more, share=0.8) for x in sides]
    return Mimics((*grains, *plexus), contrast_hu=more)


def _catheter(rng: np.random.Generator, skull: Skull) -> Mimics:
    """From a burr hole into a lateral ventricle."""
    side = float(rng.choice([-1, 1]))
    tip = (side * float(rng.uniform(2, 12)), float(rng.uniform(-20, 12)), float(rng.uniform(4, 14)))
    end = outwards(skull, (side * 26.0, float(rng.choice([-50.0, 60.0])), 62.0))
    rod = Rod(tip, end, float(rng.uniform(0.8, 1.6)), float(rng.uniform(120, 700)))
    return Mimics(rods=(rod,), holes=(Hole(end, float(rng.uniform(5, 9)), closed=False),))


def _surgery(rng: np.random.Generator, skull: Skull) -> Mimics:
    """A craniotomy, some with a hygroma, air or a clip."""
    place = on_vault(rng, skull, lowest=-0.1, highest=0.8)
    found = Mimics(holes=(Hole(place, float(rng.uniform(15, 40)), closed=rng.random() < 0.8),))
    if rng.random() < 0.5:
        found += Mimics(fluids=(_hygroma(rng, place),))
    if rng.random() < 0.5:
        found += _air(rng, skull)
    if rng.random() < 0.3:
        clip = (float(rng.normal(0, 14)), float(rng.normal(-10, 5)), float(rng.normal(-15, 4)))
        found += Mimics((grain(rng, clip, (1.5, 3.0, 1.5), hu=3000, share=1),))
    return found + Mimics(swellings=(_swelling_at(rng, place),))


def _fluid(rng: np.random.Generator, skull: Skull) -> Mimics:
    """Subdural hygroma, on one side or on both."""
    x, y, z = on_vault(rng, skull, lowest=0, highest=0.8)
    places = [(x, y, z), (-x, y, z)][: 1 + int(rng.random() < 0.4)]
    return Mimics(fluids=tuple(_hygroma(rng, place) for place in places))


def _hygroma(rng: np.random.Generator, place: Place) -> Crescent:
    blood = Blood(float(rng.uniform(2, 14)), float(rng.uniform(0, 1)), int(rng.integers(1 << 16)))
    return Crescent(place, float(rng.uniform(3, 12)), float(rng.uniform(30, 70)), 0.0, blood)


def _air(rng: np.random.Generator, skull: Skull) -> Mimics:
    """Air bubbles below the frontal vault, since patients lie supine."""
    grains = []
    for _ in range(int(rng.integers(1, 5))):
        side, height = float(rng.uniform(-35, 35)), float(rng.uniform(5, 50))
        radius = float(rng.uniform(1.5, 7))
        place = outwards(skull, (side, -70.0, height))
        grains.append(grain(rng, place, (radius * 2, radius, radius), hu=-950, share=1))
    return Mimics(tuple(grains))


def _scalp_haematoma(rng: np.random.Generator, skull: Skull) -> Mimics:
    """A scalp haematoma."""
    place = on_vault(rng, skull, lowest=-0.1, highest=0.9)
    return Mimics(swellings=(_swelling_at(rng, place),))


def _swelling_at(rng: np.random.Generator, place: Place) -> Swelling:
    x, y, z = (1.12 * value for value in place)
    return Swelling((x, y, z), float(rng.uniform(18, 45)), float(rng.uniform(4, 14)), float(rng.uniform(30, 75)))


KINDS: Final = (
    _calcification,
    _infarct,
    _infarct,
    _tumour,
    _contrast,
    _catheter,
    _surgery,
    _fluid,
    _air,
    _scalp_haematoma,
)

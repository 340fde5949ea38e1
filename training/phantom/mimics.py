"""What is bright or dark and no haemorrhage: calcification, vessels, old infarcts, scalp haematoma, headrest."""
# ruff: noqa: PLR2004 - lengths in mm and Hounsfield units, each beside what it is of

from dataclasses import dataclass

import numpy as np

from training.phantom.brain import Anatomy
from training.phantom.geometry import Points
from training.phantom.noise import sample
from training.phantom.shapes import Floats
from training.phantom.skull import Depths

Place = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Grain:
    """A lump of one density with a soft edge: a calcification, a vessel seen end on, an infarct."""

    centre_mm: Place
    radii_mm: Place
    hu: float
    share: float  # of the tissue it replaces at its middle
    rough: float
    seed: int


@dataclass(frozen=True, slots=True)
class Swelling:
    """Blood or fluid in the scalp, outside the skull: no intracranial haemorrhage."""

    centre_mm: Place
    radius_mm: float
    thickness_mm: float
    hu: float


@dataclass(frozen=True, slots=True)
class Mimics:
    """Everything of a study that is no haemorrhage and may look like one."""

    grains: tuple[Grain, ...]
    swellings: tuple[Swelling, ...]


def draw_mimics(rng: np.random.Generator) -> Mimics:
    """Mimics of a study with or without blood."""
    grains = [*_pineal(rng), *_choroid(rng), *_basal_ganglia(rng), *_falx(rng), *_vessels(rng), *_infarcts(rng)]
    return Mimics(tuple(grains), tuple(_swelling(rng) for _ in range(int(rng.random() < 0.25))))


def fill_brain(hu: Floats, mimics: Mimics, anatomy: Anatomy) -> None:
    """Put the grains into the tissue of the cavity, in place."""
    p = anatomy.points
    for grain in mimics.grains:
        (x, y, z), (rx, ry, rz) = grain.centre_mm, grain.radii_mm
        near = np.flatnonzero((np.abs(p.x - x) < 2 * rx) & (np.abs(p.y - y) < 2 * ry) & (np.abs(p.z - z) < 2 * rz))
        if near.size:
            q = p.at(near)
            norm = np.sqrt(((q.x - x) / rx) ** 2 + ((q.y - y) / ry) ** 2 + ((q.z - z) / rz) ** 2)
            norm += grain.rough * sample(q.x, q.y, q.z, wavelength_mm=max(1.5 * rx, 4), offset=grain.seed)
            share = np.clip((1.0 - norm) * min(rx, rz) + 0.5, 0, 1) * grain.share
            hu[near] += (np.float32(grain.hu) - hu[near]) * share


def fill_scalp(hu: Floats, mimics: Mimics, points: Points, depth: Depths, skull_mm: float) -> None:
    """Put swellings between skull and skin, in place."""
    for swelling in mimics.swellings:
        away = points.distance(swelling.centre_mm) / np.float32(swelling.radius_mm)
        outside = -depth.vault - np.float32(skull_mm * 1.3)
        inside = (outside > 0) & (outside < swelling.thickness_mm * (1 - away**2)) & (points.z > -30)
        np.copyto(hu, np.float32(swelling.hu), where=inside)


def fill_headrest(hu: Floats, points: Points, seed: int) -> None:
    """A shell under the head, in place, where there is air."""
    if seed % 3 == 0:
        return
    width, behind = 92.0 + seed % 17, 40.0 + seed % 23
    norm = np.sqrt((points.x / width) ** 2 + (np.maximum(points.y - behind, -30) / 78) ** 2)
    shell = (np.abs(norm - 1.02) < 0.016) & (points.y > behind - 20 - seed % 29) & (hu < -500)
    hu[shell] = 60 + seed % 400
    foam = (norm < 1.02) & (points.y > behind) & (hu < -900)
    hu[foam] = -960


def _grain(rng: np.random.Generator, place: Place, radii: Place, *, hu: float, share: float) -> Grain:
    return Grain(place, radii, hu, share, float(rng.uniform(0, 0.35)), int(rng.integers(1 << 16)))


def _pineal(rng: np.random.Generator) -> list[Grain]:
    if rng.random() < 0.35:
        return []
    radius, hu = float(rng.uniform(1.2, 4)), float(rng.uniform(80, 380))
    return [_grain(rng, (float(rng.normal(0, 1)), 22.0, float(rng.normal(1, 2))), (radius,) * 3, hu=hu, share=0.9)]


def _choroid(rng: np.random.Generator) -> list[Grain]:
    radius, hu, chance = float(rng.uniform(1.2, 4.5)), float(rng.uniform(50, 380)), rng.uniform(0, 1)
    sides = [side for side in (-1, 1) if rng.random() < chance]
    return [_grain(rng, (side * 22.0, 30.0, 9.0), (radius, radius * 1.6, radius), hu=hu, share=0.8) for side in sides]


def _basal_ganglia(rng: np.random.Generator) -> list[Grain]:
    if rng.random() < 0.8:
        return []
    hu, share = float(rng.uniform(70, 220)), float(rng.uniform(0.2, 0.9))
    radii = tuple(float(value) for value in rng.uniform(1, 4, 3))
    return [
        _grain(rng, (side * 19.0, -4.0, 1.0), (radii[0], radii[1] * 1.8, radii[2]), hu=hu, share=share)
        for side in (-1, 1)
    ]


def _falx(rng: np.random.Generator) -> list[Grain]:
    count = int(rng.choice([0, 1, 3], p=[0.6, 0.25, 0.15]))
    return [
        _grain(
            rng,
            (0.0, float(rng.uniform(-65, -30)), float(rng.uniform(15, 55))),
            (1.3, float(rng.uniform(2, 8)), float(rng.uniform(2, 6))),
            hu=float(rng.uniform(120, 700)),
            share=1.0,
        )
        for _ in range(count)
    ]


def _vessels(rng: np.random.Generator) -> list[Grain]:
    """The carotids, the basilar artery and the middle cerebral arteries, sometimes with chalk in their walls."""
    hu, share = float(rng.uniform(42, 66)), float(rng.uniform(0, 1))
    chalk = float(rng.uniform(120, 600)) if rng.random() < 0.25 else hu
    grains = [_grain(rng, (float(rng.normal(0, 1)), -1.0, -24.0), (1.8, 1.8, 12.0), hu=hu, share=share)]
    for side in (-1.0, 1.0):
        grains.append(_grain(rng, (side * 11, -12.0, -22.0), (2.0, 2.0, 5.0), hu=chalk, share=share))
        grains.append(_grain(rng, (side * 24, -12.0, -14.0), (11.0, 1.6, 1.6), hu=hu, share=share * 0.9))
    return grains


def _infarcts(rng: np.random.Generator) -> list[Grain]:
    count = int(rng.choice([0, 1, 2], p=[0.75, 0.18, 0.07]))
    grains = []
    for _ in range(count):
        place = (
            float(rng.choice([-1, 1]) * rng.uniform(15, 50)),
            float(rng.uniform(-45, 55)),
            float(rng.uniform(-10, 45)),
        )
        radii = tuple(float(value) for value in rng.uniform(3, 22, 3))
        grains.append(
            _grain(
                rng,
                place,
                (radii[0], radii[1], radii[2]),
                hu=float(rng.uniform(4, 22)),
                share=float(rng.uniform(0.3, 1)),
            )
        )
    return grains


def _swelling(rng: np.random.Generator) -> Swelling:
    turn, height = rng.uniform(0, 2 * np.pi), float(rng.uniform(0, 60))
    flat = float(np.sqrt(max(1 - (height / 90) ** 2, 0.1)))
    place = (float(76 * np.cos(turn)) * flat, float(92 * np.sin(turn)) * flat, height)
    return Swelling(place, float(rng.uniform(18, 45)), float(rng.uniform(4, 14)), float(rng.uniform(30, 75)))

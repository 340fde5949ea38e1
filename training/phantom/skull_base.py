"""Bright structures at the skull base: cavernous sinuses, bone with partial volume, calcification."""
# ruff: noqa: PLR2004 - lengths in mm and Hounsfield units, named by their context

import numpy as np

from training.phantom.locations import outwards
from training.phantom.mimics import Grain, Mimics, grain
from training.phantom.skull import Skull


def draw_base(rng: np.random.Generator, skull: Skull) -> Mimics:
    """Draw more of them than usual studies have."""
    return Mimics((*_cavernous(rng), *_ridges(rng, skull), *_carotids(rng)))


def _cavernous(rng: np.random.Generator) -> list[Grain]:
    """The cavernous sinuses, as dense as other veins, on both sides of the sella."""
    hu, share = float(rng.uniform(44, 72)), float(rng.uniform(0.3, 1))
    back, height = float(rng.normal(-6, 3)), float(rng.normal(-25, 3))
    wide, long, high = rng.uniform((3, 6, 3), (5.5, 11, 7))
    radii = (float(wide), float(long), float(high))
    return [grain(rng, (side * float(rng.normal(12, 2)), back, height), radii, hu=hu, share=share) for side in (-1, 1)]


def _ridges(rng: np.random.Generator, skull: Skull) -> list[Grain]:
    """Clinoids, sphenoid wings, orbital roofs, petrous tips: haze by partial volume in thick slices."""
    grains = []
    for _ in range(rng.poisson(6)):
        turn, down = rng.uniform(0, 2 * np.pi), float(rng.uniform(-0.9, -0.25))
        flat = np.sqrt(1 - down**2)
        place = outwards(skull, (float(np.cos(turn) * flat), float(np.sin(turn) * flat), down))
        x, y, z = rng.uniform(1.5, 5) * np.exp(rng.normal(0, 0.4, 3))
        radii = (float(x), float(y), float(z))
        hu, share, soft_mm = (float(value) for value in rng.uniform((80, 0.15, 0.8), (500, 0.9, 3)))
        grains.append(grain(rng, place, radii, hu=hu, share=share, soft_mm=soft_mm))
    return grains


def _carotids(rng: np.random.Generator) -> list[Grain]:
    """Calcification in the walls of the carotids."""
    sides = [side for side in (-1.0, 1.0) if rng.random() < 0.35]
    hu = float(rng.uniform(150, 800))
    return [
        grain(rng, (side * 11, float(rng.normal(-10, 2)), -20.0), (2.0, 3.0, 2.5), hu=hu, share=0.9) for side in sides
    ]

"""Random points of a head: in the brain, and on the inner table of the vault."""
# ruff: noqa: PLR2004 - lengths in mm

import numpy as np
from numpy.typing import NDArray

from training.phantom.geometry import Points
from training.phantom.skull import Skull, depths

Place = tuple[float, float, float]


def in_brain(rng: np.random.Generator, skull: Skull, radius_mm: float) -> Place:
    """Draw a point: 40 % in the deep nuclei, 12 % in the cerebellum, 5 % in the brainstem, the rest in the lobes."""
    place, side = rng.choice(4, p=[0.4, 0.12, 0.05, 0.43]), float(rng.choice([-1, 1]))
    x, y, z = rng.normal(0, 4, 3)
    if place == 0:
        return (side * float(22 + x), float(-2 + 2 * y), float(4 + z))
    if place == 1:
        return (side * abs(float(18 + 2 * x)), float(50 + y), float(-36 + z))
    if place == 2:
        return (float(x), float(18 + y), float(-28 + 2 * z))
    return under_vault(rng, on_vault(rng, skull, lowest=-0.2, highest=0.85), radius_mm, deepest_mm=28)


def under_vault(rng: np.random.Generator, place: Place, radius_mm: float, *, deepest_mm: float) -> Place:
    """Draw a point inwards of one on the vault, at a depth at which a ball reaches the vault hardly or not at all."""
    depth = float(rng.uniform(radius_mm * 0.7 + 3, radius_mm + deepest_mm))
    inward = max(1 - depth / float(np.linalg.norm(place)), 0.25)
    x, y, z = place
    return (x * inward, y * inward, z * inward)


def on_vault(rng: np.random.Generator, skull: Skull, *, lowest: float, highest: float) -> Place:
    """Draw a point of the inner table; `lowest` and `highest` bound the sine of its elevation."""
    turn, sine = rng.uniform(0, 2 * np.pi), rng.uniform(lowest, highest)
    flat = np.sqrt(1 - sine**2)
    return outwards(skull, (float(np.cos(turn) * flat), float(np.sin(turn) * flat), float(sine)))


def outwards(skull: Skull, towards: Place) -> Place:
    """Return the point at which the ray from the head's middle through `towards` leaves the cavity."""
    direction = np.array(towards) / np.linalg.norm(towards)
    radii = np.arange(20, 120, 0.5, dtype=np.float32)
    ray: NDArray[np.float32] = (direction[:, None] * radii).astype(np.float32)
    inside = depths(skull, Points(ray[0], ray[1], ray[2])).cavity > 0
    x, y, z = direction * float(radii[np.flatnonzero(inside)[-1]] if inside.any() else 60)
    return (float(x), float(y), float(z))

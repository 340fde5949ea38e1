"""What a study has: how often each kind of haemorrhage, how large, where, and which mimics lie beside it."""
# ruff: noqa: PLR2004 - lengths in mm and Hounsfield units, each beside what it is of

import numpy as np
from numpy.typing import NDArray

from services.common.labels import SUBTYPES, Label
from training.phantom.bleeds import Bleed, Blood, Cast, Crescent, Film, Haematoma, Lens, Place, Sheet
from training.phantom.geometry import Points
from training.phantom.skull import Skull, depths

# How often each subtype is the first finding of a study with blood; rarer ones are drawn more often than in life.
FIRST = {
    "epidural": 0.15,
    "intraparenchymal": 0.24,
    "intraventricular": 0.13,
    "subarachnoid": 0.24,
    "subdural": 0.24,
}
# How often a second and a third finding join it.
ANOTHER = 0.4


def draw_kinds(rng: np.random.Generator) -> tuple[Label, ...]:
    """None for half of all studies, else one kind or several."""
    if rng.random() < 0.5:
        return ()
    odds = [FIRST[label] for label in SUBTYPES]
    count = 1 + int(rng.random() < ANOTHER) + int(rng.random() < ANOTHER * 0.4)
    chosen = rng.choice(len(SUBTYPES), size=count, replace=False, p=odds)
    return tuple(SUBTYPES[index] for index in chosen)


def draw_bleed(rng: np.random.Generator, label: Label, skull: Skull) -> Bleed:
    """One haemorrhage of a kind, from hardly visible to huge."""
    match label:
        case "epidural":
            return _epidural(rng, skull)
        case "intraparenchymal":
            return draw_haematoma(rng, skull)
        case "intraventricular":
            return _intraventricular(rng)
        case "subarachnoid":
            return _subarachnoid(rng, skull)
        case _:
            return _subdural(rng, skull)


def draw_haematoma(rng: np.random.Generator, skull: Skull, *, smallest_ml: float = 0.2) -> Haematoma:
    """An intraparenchymal haemorrhage."""
    volume_ml = float(np.clip(rng.lognormal(np.log(3.5), 1.2), smallest_ml, 80))
    radius = (volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
    stretch = np.exp(rng.normal(0, 0.25, 3))
    radii = radius * stretch / np.prod(stretch) ** (1 / 3)
    return Haematoma(
        centre_mm=_in_the_brain(rng, skull, radius),
        radii_mm=(float(radii[0]), float(radii[1]), float(radii[2])),
        roughness=float(rng.uniform(0.03, 0.28)),
        oedema_hu=float(rng.uniform(-14, -1)),
        oedema_mm=float(rng.uniform(1, 8)),
        blood=_blood(rng, 48, 78),
    )


def _epidural(rng: np.random.Generator, skull: Skull) -> Lens:
    radius = float(rng.uniform(13, 42))
    centre = _on_the_vault(rng, skull, lowest=-0.5, highest=0.75)
    return Lens(centre, float(radius * rng.uniform(0.25, 0.7)), radius, _blood(rng, 50, 80))


def _subdural(rng: np.random.Generator, skull: Skull) -> Crescent | Sheet:
    if rng.random() < 0.22:
        return _sheet(rng)
    acute = rng.random() < 0.9
    thickness = float(np.clip(rng.lognormal(np.log(7), 0.5), 3, 24))
    return Crescent(
        centre_mm=_on_the_vault(rng, skull, lowest=-0.25, highest=0.8),
        thickness_mm=thickness,
        radius_mm=float(rng.uniform(35, 85)),
        level_hu=float(rng.choice([0, 0, 0, rng.uniform(3, 14)])),
        blood=_blood(rng, 52, 82) if acute else _blood(rng, 12, 26),
    )


def _sheet(rng: np.random.Generator) -> Sheet:
    side, thickness = float(rng.choice([-1, 1])), float(rng.uniform(2.5, 8))
    if rng.random() < 0.6:
        centre = (side * 0.01, float(rng.uniform(-50, 55)), float(rng.uniform(25, 55)))
        return Sheet(centre, thickness, float(rng.uniform(18, 45)), on_tentorium=False, blood=_blood(rng, 54, 82))
    centre = (side * 25, float(rng.uniform(25, 55)), -12.0)
    return Sheet(centre, thickness, float(rng.uniform(18, 38)), on_tentorium=True, blood=_blood(rng, 54, 82))


def _intraventricular(rng: np.random.Generator) -> Cast:
    cast = rng.random() < 0.4
    return Cast(
        side=int(rng.choice([-1, 0, 1])),
        behind_mm=float(-80 if cast else rng.uniform(12, 46)),
        below_mm=float(rng.choice([90, rng.uniform(0, 25)], p=[0.7, 0.3])),
        amount=float(rng.uniform(0.7, 1)),
        blood=_blood(rng, 46, 76),
    )


def _subarachnoid(rng: np.random.Generator, skull: Skull) -> Film:
    place = rng.choice(3, p=[0.35, 0.2, 0.45])
    side = float(rng.choice([-1, 1]))
    amount, blood = float(rng.uniform(0.7, 1)), _blood(rng, 52, 80)
    if place == 0:
        centre = (float(rng.normal(0, 6)), float(rng.normal(2, 8)), float(rng.normal(-16, 6)))
        return Film(centre, float(rng.uniform(16, 48)), amount, blood)
    if place == 1:
        centre = (side * 42, float(rng.normal(-12, 6)), float(rng.normal(-2, 5)))
        return Film(centre, float(rng.uniform(14, 32)), amount, blood)
    return Film(_on_the_vault(rng, skull, lowest=-0.1, highest=0.9), float(rng.uniform(14, 50)), amount, blood)


def _blood(rng: np.random.Generator, low_hu: float, high_hu: float) -> Blood:
    return Blood(float(rng.uniform(low_hu, high_hu)), float(rng.uniform(0.5, 5)), int(rng.integers(1 << 16)))


def _in_the_brain(rng: np.random.Generator, skull: Skull, radius_mm: float) -> Place:
    """40 % in the deep nuclei, 12 % in the cerebellum, 5 % in the brainstem, the rest in the lobes."""
    place, side = rng.choice(4, p=[0.4, 0.12, 0.05, 0.43]), float(rng.choice([-1, 1]))
    x, y, z = rng.normal(0, 4, 3)
    if place == 0:
        return (side * float(22 + x), float(-2 + 2 * y), float(4 + z))
    if place == 1:
        return (side * abs(float(18 + 2 * x)), float(42 + y), float(-36 + z))
    if place == 2:
        return (float(x), float(12 + y), float(-26 + 2 * z))
    px, py, pz = _on_the_vault(rng, skull, lowest=-0.2, highest=0.85)
    inward = 1 - float(rng.uniform(radius_mm * 0.7 + 3, radius_mm + 28)) / float(np.sqrt(px**2 + py**2 + pz**2))
    inward = max(inward, 0.25)
    return (px * inward, py * inward, pz * inward)


def _on_the_vault(rng: np.random.Generator, skull: Skull, *, lowest: float, highest: float) -> Place:
    """A point of the inner table; `lowest` and `highest` bound the sine of its elevation."""
    turn, sine = rng.uniform(0, 2 * np.pi), rng.uniform(lowest, highest)
    flat = np.sqrt(1 - sine**2)
    direction = np.array([np.cos(turn) * flat, np.sin(turn) * flat, sine])
    radii = np.arange(20, 120, 0.5, dtype=np.float32)
    ray: NDArray[np.float32] = (direction[:, None] * radii).astype(np.float32)
    inside = depths(skull, Points(ray[0], ray[1], ray[2])).cavity > 0
    x, y, z = direction * float(radii[np.flatnonzero(inside)[-1]] if inside.any() else 60)
    return (float(x), float(y), float(z))

"""Frequency, size and location of haemorrhages."""
# ruff: noqa: PLR2004 - lengths in mm and Hounsfield units, named by their context

from collections.abc import Callable
from functools import partial

import numpy as np

from services.common.labels import SUBTYPES, Label
from training.phantom.haemorrhages import Blood, Cast, Crescent, Film, Haematoma, Haemorrhage, Lens, Place, Sheet
from training.phantom.locations import in_brain, on_vault, outwards, under_vault
from training.phantom.skull import Skull

# Frequency of each subtype as first finding of a study with blood; rare ones are more frequent than in patients.
FIRST = {
    "epidural": 0.15,
    "intraparenchymal": 0.24,
    "intraventricular": 0.13,
    "subarachnoid": 0.24,
    "subdural": 0.24,
}
# Frequency of a second and a third finding.
ANOTHER = 0.4


def draw_kinds(rng: np.random.Generator) -> tuple[Label, ...]:
    """Draw the kinds of a study: none for half of all studies, else one or several."""
    if rng.random() < 0.5:
        return ()
    odds = [FIRST[label] for label in SUBTYPES]
    count = 1 + int(rng.random() < ANOTHER) + int(rng.random() < ANOTHER * 0.4)
    chosen = rng.choice(len(SUBTYPES), size=count, replace=False, p=odds)
    return tuple(SUBTYPES[index] for index in chosen)


def draw_haemorrhages(rng: np.random.Generator, label: Label, skull: Skull) -> tuple[Haemorrhage, ...]:
    """Draw the haemorrhages of one kind, mostly one, from hardly visible to huge."""
    match label:
        case "epidural":
            return (_epidural(rng, skull),)
        case "intraparenchymal":
            return _contusions(rng, skull) if rng.random() < 0.2 else (_haematoma(rng, skull),)
        case "intraventricular":
            return (_intraventricular(rng),)
        case "subarachnoid":
            return tuple(_subarachnoid(rng, skull) for _ in range(1 + int(rng.random() < 0.25)))
        case _:
            return _subdural(rng, skull)


def _haematoma(rng: np.random.Generator, skull: Skull) -> Haematoma:
    volume_ml = float(np.clip(rng.lognormal(np.log(3.5), 1.5), 0.15, 90))
    return _ball(rng, volume_ml, partial(in_brain, rng, skull))


def _contusions(rng: np.random.Generator, skull: Skull) -> tuple[Haematoma, ...]:
    """Two to five small ones close together under the vault, mostly frontal and lateral."""
    turn = rng.choice([-1, 1]) * rng.uniform(0, 2.1)
    sine = rng.uniform(-0.3, 0.3)
    middle = np.array([np.sin(turn), -np.cos(turn), sine])
    found = []
    for _ in range(int(rng.integers(2, 6))):
        x, y, z = middle + rng.normal(0, 0.2, 3)
        place = outwards(skull, (float(x), float(y), float(z)))
        volume_ml = float(np.clip(rng.lognormal(np.log(0.8), 1), 0.1, 8))
        found.append(_ball(rng, volume_ml, partial(under_vault, rng, place, deepest_mm=8)))
    return tuple(found)


def _ball(rng: np.random.Generator, volume_ml: float, placed: Callable[[float], Place]) -> Haematoma:
    radius = (volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
    stretch = np.exp(rng.normal(0, 0.3, 3))
    radii = radius * stretch / np.prod(stretch) ** (1 / 3)
    return Haematoma(
        centre_mm=placed(radius),
        radii_mm=(float(radii[0]), float(radii[1]), float(radii[2])),
        roughness=float(rng.uniform(0.03, 0.4)),
        oedema_hu=float(rng.uniform(-16, -1)),
        oedema_mm=float(rng.uniform(1, 9)),
        blood=_blood(rng, 46, 78),
    )


def _epidural(rng: np.random.Generator, skull: Skull) -> Lens:
    radius = float(rng.uniform(13, 42))
    centre = on_vault(rng, skull, lowest=-0.5, highest=0.75)
    return Lens(centre, float(radius * rng.uniform(0.25, 0.75)), radius, _blood(rng, 50, 80))


def _subdural(rng: np.random.Generator, skull: Skull) -> tuple[Haemorrhage, ...]:
    if rng.random() < 0.22:
        return (_sheet(rng),)
    first = _crescent(rng, on_vault(rng, skull, lowest=-0.25, highest=0.8))
    x, y, z = first.centre_mm
    found: list[Haemorrhage] = [first]
    if rng.random() < 0.12:
        found.append(_crescent(rng, (-x, y, z)))
    if rng.random() < 0.12:
        found.append(_sheet(rng))
    return tuple(found)


def _crescent(rng: np.random.Generator, place: Place) -> Crescent:
    """Acute, chronic and layered ones; isodense ones only where they are thick."""
    age = rng.choice(3, p=[0.84, 0.07, 0.09])
    thickness = float(np.clip(rng.lognormal(np.log(7), 0.5), 3 if age == 0 else 7, 24))
    return Crescent(
        centre_mm=place,
        thickness_mm=thickness,
        radius_mm=float(rng.uniform(35, 85)),
        level_hu=float(rng.choice([0, 0, 0, rng.uniform(3, 14)])),
        blood=(_blood(rng, 52, 82), _blood(rng, 30, 44), _blood(rng, 16, 28))[age],
    )


def _sheet(rng: np.random.Generator) -> Sheet:
    side, thickness = float(rng.choice([-1, 1])), float(rng.uniform(2.5, 8))
    if rng.random() < 0.6:
        centre = (side * 0.01, float(rng.uniform(-50, 55)), float(rng.uniform(25, 55)))
        return Sheet(centre, thickness, float(rng.uniform(18, 45)), on_tentorium=False, blood=_blood(rng, 54, 82))
    centre = (side * 25, float(rng.uniform(30, 65)), -12.0)
    return Sheet(centre, thickness, float(rng.uniform(18, 38)), on_tentorium=True, blood=_blood(rng, 54, 82))


def _intraventricular(rng: np.random.Generator) -> Cast:
    cast = rng.random() < 0.4
    return Cast(
        side=int(rng.choice([-1, 0, 1])),
        behind_mm=float(-80 if cast else rng.uniform(12, 46)),
        below_mm=float(rng.choice([90, rng.uniform(0, 25)], p=[0.7, 0.3])),
        amount=float(rng.uniform(0.7, 1)),
        blood=_blood(rng, 45, 76),
    )


def _subarachnoid(rng: np.random.Generator, skull: Skull) -> Film:
    place = rng.choice(3, p=[0.35, 0.2, 0.45])
    side = float(rng.choice([-1, 1]))
    amount, blood = float(rng.uniform(0.75, 1)), _blood(rng, 54, 82)
    if place == 0:
        centre = (float(rng.normal(0, 6)), float(rng.normal(2, 8)), float(rng.normal(-16, 6)))
        return Film(centre, float(rng.uniform(14, 50)), amount, blood)
    if place == 1:
        centre = (side * 42, float(rng.normal(-12, 6)), float(rng.normal(-2, 5)))
        return Film(centre, float(rng.uniform(10, 30)), amount, blood)
    return Film(on_vault(rng, skull, lowest=-0.1, highest=0.9), float(rng.uniform(9, 34)), amount, blood)


def _blood(rng: np.random.Generator, low_hu: float, high_hu: float) -> Blood:
    return Blood(float(rng.uniform(low_hu, high_hu)), float(rng.uniform(0.5, 5)), int(rng.integers(1 << 16)))

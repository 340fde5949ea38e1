"""Haemorrhages as small as most of patients' are: on a few slices, a few millilitres or less, hardly denser than brain.

`cases` draws what is seen at once more often than hospitals do. Crescents and lenses stay thick enough to stand out of
what bone blurs along the inner table, or a network would learn to call any rim of it blood.
"""

from dataclasses import replace

import numpy as np

from training.phantom.bleeds import Bleed, Cast, Crescent, Film, Haematoma, Lens, Sheet


def small_bleeds(rng: np.random.Generator, bleeds: tuple[Bleed, ...], share: float) -> tuple[Bleed, ...]:
    """All of a study's small, in that share of studies; else the same."""
    return bleeds if rng.random() >= share else tuple(small(rng, bleed) for bleed in bleeds)


def small(rng: np.random.Generator, bleed: Bleed) -> Bleed:
    """The bleed with its lengths and its density drawn anew, fresh where it was old."""
    blood = replace(bleed.blood, hu=float(rng.uniform(46, 70)))
    match bleed:
        case Haematoma():
            factor = _between(rng, 2.8, 8.5) / float(np.prod(bleed.radii_mm) ** (1 / 3))
            x, y, z = (factor * radius for radius in bleed.radii_mm)
            return replace(bleed, blood=blood, radii_mm=(x, y, z))
        case Lens():
            return replace(bleed, blood=blood, radius_mm=_between(rng, 13, 26), thickness_mm=_between(rng, 6, 13))
        case Crescent():
            radius_mm, thickness_mm = _between(rng, 10, 30), _between(rng, 4, 9)
            return replace(bleed, blood=blood, radius_mm=radius_mm, thickness_mm=thickness_mm, level_hu=0.0)
        case Sheet():
            return replace(bleed, blood=blood, radius_mm=_between(rng, 8, 22), thickness_mm=_between(rng, 2.5, 5))
        case Film():
            return replace(bleed, blood=blood, radius_mm=_between(rng, 5, 13))
        case Cast():
            side, behind_mm = int(rng.choice([-1, 1])), float(rng.uniform(26, 46))
            return replace(bleed, blood=blood, side=side, behind_mm=behind_mm)
    raise TypeError(type(bleed).__name__)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Evenly by the logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))

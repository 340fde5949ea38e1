"""Haemorrhages as small as most patients': on a few slices, a few millilitres or less, hardly denser than brain.

`findings` draws conspicuous haemorrhages more often than they occur in hospitals. Crescents and lenses stay thicker
than the blur of bone along the inner table; otherwise a network would learn to call every such rim blood.
"""

from dataclasses import replace

import numpy as np

from training.phantom.haemorrhages import Cast, Crescent, Film, Haematoma, Haemorrhage, Lens, Sheet


def small_haemorrhages(
    rng: np.random.Generator, haemorrhages: tuple[Haemorrhage, ...], share: float
) -> tuple[Haemorrhage, ...]:
    """Make all haemorrhages of a study small, in that share of studies."""
    return haemorrhages if rng.random() >= share else tuple(small(rng, haemorrhage) for haemorrhage in haemorrhages)


def small(rng: np.random.Generator, haemorrhage: Haemorrhage) -> Haemorrhage:
    """Redraw lengths and density of a haemorrhage; it becomes acute."""
    blood = replace(haemorrhage.blood, hu=float(rng.uniform(46, 70)))
    match haemorrhage:
        case Haematoma():
            factor = _between(rng, 2.8, 8.5) / float(np.prod(haemorrhage.radii_mm) ** (1 / 3))
            x, y, z = (factor * radius for radius in haemorrhage.radii_mm)
            return replace(haemorrhage, blood=blood, radii_mm=(x, y, z))
        case Lens():
            return replace(haemorrhage, blood=blood, radius_mm=_between(rng, 13, 26), thickness_mm=_between(rng, 6, 13))
        case Crescent():
            radius_mm, thickness_mm = _between(rng, 10, 30), _between(rng, 4, 9)
            return replace(haemorrhage, blood=blood, radius_mm=radius_mm, thickness_mm=thickness_mm, level_hu=0.0)
        case Sheet():
            return replace(haemorrhage, blood=blood, radius_mm=_between(rng, 8, 22), thickness_mm=_between(rng, 2.5, 5))
        case Film():
            return replace(haemorrhage, blood=blood, radius_mm=_between(rng, 5, 13))
        case Cast():
            side, behind_mm = int(rng.choice([-1, 1])), float(rng.uniform(26, 46))
            return replace(haemorrhage, blood=blood, side=side, behind_mm=behind_mm)
    raise TypeError(type(haemorrhage).__name__)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw from a log-uniform distribution."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))

"""Studies outside the usual ranges, each in one way: for evaluation, never for training.

A shifted study's twin draws the same random numbers without the shift; the difference of both is the shift's effect.
"""

from dataclasses import replace

import numpy as np

from training.phantom.acquisition import Scanner
from training.phantom.geometry import Scan
from training.phantom.haemorrhages import Cast, Crescent, Film, Haematoma, Haemorrhage, Lens, Sheet
from training.phantom.skull import Skull
from training.phantom.study_options import Shift, StudyOptions

OLD = (2.6, 4.0)  # atrophy of shifted brains
SMALLER = 0.75  # lengths of shifted lesions
PALER_HU = 6.0


def shifted_skull(rng: np.random.Generator, skull: Skull, options: StudyOptions) -> Skull:
    """Change the form of the head, for the shift "anatomy"."""
    if options.shift != "anatomy":
        return skull
    head, factors = skull.head, rng.uniform(0.93, 1.07, 3)
    if options.twin:
        return skull
    x, y, z = (float(scale * factor) for scale, factor in zip(head.scale, factors, strict=True))
    return replace(skull, head=replace(head, scale=(x, y, z), wobble_mm=1.6 * head.wobble_mm + 1))


def shifted_atrophy(rng: np.random.Generator, options: StudyOptions) -> float | None:
    """Draw the atrophy of an old brain, for the shift "anatomy"."""
    if options.shift != "anatomy":
        return None
    old = float(rng.uniform(*OLD))
    return None if options.twin else old


def shifted_scan(rng: np.random.Generator, scan: Scan, options: StudyOptions) -> Scan:
    """Make slices thicker or much thinner, and their spacing larger or smaller."""
    if options.shift != "thickness":
        return scan
    thin = rng.random() < 0.5  # noqa: PLR2004
    spacing = float(rng.uniform(1.2, 2) if thin else rng.uniform(7, 9))
    if options.twin:
        return scan
    low, high = scan.position_mm[0], scan.position_mm[-1]
    return replace(
        scan,
        thickness_mm=0.625 if thin else spacing * 1.1,
        position_mm=tuple(float(value) for value in np.arange(low, high, spacing)),
    )


def shifted_scanner(rng: np.random.Generator, scanner: Scanner, options: StudyOptions) -> Scanner:
    """Add noise and another kernel, or another offset and slope of the Hounsfield scale."""
    shifted = _shifted_scanner(rng, scanner, options.shift)
    return scanner if options.twin else shifted


def _shifted_scanner(rng: np.random.Generator, scanner: Scanner, shift: Shift | None) -> Scanner:
    side = float(rng.choice([-1, 1]))
    if shift == "noise and kernel":
        noisy = replace(scanner, noise_hu=float(rng.uniform(8, 12)))
        if side > 0:
            return replace(noisy, blur_pixels=0.3, noise_grain_pixels=0.2, sharpening=float(rng.uniform(0.35, 0.6)))
        return replace(noisy, blur_pixels=float(rng.uniform(1.1, 1.5)), noise_grain_pixels=1.4, sharpening=0.0)
    if shift == "hounsfield":
        offset, gain = side * float(rng.uniform(7, 11)), 1 + float(rng.choice([-1, 1])) * float(rng.uniform(0.1, 0.15))
        return replace(scanner, offset_hu=offset, gain=gain)
    return scanner


def shifted_haemorrhage(haemorrhage: Haemorrhage, options: StudyOptions) -> Haemorrhage:
    """Make a haemorrhage smaller and less dense, for the shift "lesions"."""
    return (
        smaller_and_paler(haemorrhage, SMALLER, PALER_HU)
        if options.shift == "lesions" and not options.twin
        else haemorrhage
    )


def smaller_and_paler(haemorrhage: Haemorrhage, scale: float, paler_hu: float) -> Haemorrhage:
    """Scale a haemorrhage's lengths and reduce its density by `paler_hu`."""
    blood = replace(haemorrhage.blood, hu=haemorrhage.blood.hu - paler_hu)
    match haemorrhage:
        case Haematoma(radii_mm=(x, y, z)):
            return replace(haemorrhage, blood=blood, radii_mm=(scale * x, scale * y, scale * z))
        case Crescent() | Sheet() | Lens():
            thinner = max(scale * haemorrhage.thickness_mm, 2.5)
            return replace(haemorrhage, blood=blood, thickness_mm=thinner, radius_mm=scale * haemorrhage.radius_mm)
        case Film():
            return replace(haemorrhage, blood=blood, radius_mm=scale * haemorrhage.radius_mm)
        case Cast():
            return replace(haemorrhage, blood=blood)
    raise TypeError(type(haemorrhage).__name__)

"""Harder studies for training: noise, kernels, size and density of blood, form of the head, atrophy, skull base.

Values stay inside the usual ranges or at their edge. Noise and density stay short of the shifted sets. Sizes go a
little below theirs, since haemorrhages of patients are small. Form of the head and atrophy reach the middle of the
shifted range of anatomy, since patients are old; these sets test generalisation only in their farther half.
"""

from dataclasses import replace

import numpy as np

from training.phantom.acquisition import Scanner
from training.phantom.haemorrhages import Haemorrhage
from training.phantom.mimics import Mimics
from training.phantom.shifts import smaller_and_paler
from training.phantom.skull import Skull
from training.phantom.skull_base import draw_base

SHARE = 0.5
NOISE_HU = (3.5, 8.0)
BLUR_PIXELS = (0.3, 1.1)
GRAIN_PIXELS = (0.2, 1.4)
SHARPENING = 0.35
SMALLEST = 0.7
PALEST_HU = 5.0
TAIL_HU = (60, 320)  # added by bone to adjacent brain
ROOM_MM = (-1.4, 0.4)  # hardly any fluid between brain and dura
FACTOR = (0.96, 1.04)  # of a head's scale along each axis
WOBBLE_MM = (0.8, 4.2)
ATROPHY = (0.0, 3.4)  # uniform


def broad_skull(rng: np.random.Generator, skull: Skull) -> Skull:
    """Fill a head up to the inner table, change its form, both, or neither."""
    head = skull.head
    if rng.random() < SHARE:
        head = replace(head, room_mm=float(rng.uniform(*ROOM_MM)))
    if rng.random() < SHARE:
        x, y, z = (float(scale * rng.uniform(*FACTOR)) for scale in head.scale)
        head = replace(head, scale=(x, y, z), wobble_mm=float(rng.uniform(*WOBBLE_MM)))
    return replace(skull, head=head)


def broad_atrophy(rng: np.random.Generator, atrophy: float | None) -> float | None:
    """Draw atrophy uniformly, or keep it."""
    return float(rng.uniform(*ATROPHY)) if rng.random() < SHARE else atrophy


def broad_mimics(rng: np.random.Generator, skull: Skull, mimics: Mimics) -> Mimics:
    """Add bright structures at the skull base, or none."""
    return mimics + draw_base(rng, skull) if rng.random() < SHARE else mimics


def broad_scanner(rng: np.random.Generator, scanner: Scanner) -> Scanner:
    """Draw more noise and another kernel, or keep the scanner."""
    if rng.random() >= SHARE:
        return scanner
    return replace(
        scanner,
        noise_hu=float(rng.uniform(*NOISE_HU)),
        blur_pixels=float(rng.uniform(*BLUR_PIXELS)),
        noise_grain_pixels=float(rng.uniform(*GRAIN_PIXELS)),
        sharpening=float(rng.choice([0, rng.uniform(0, SHARPENING)])),
        tail_hu=float(rng.uniform(*TAIL_HU)),
    )


def broad_haemorrhages(rng: np.random.Generator, haemorrhages: tuple[Haemorrhage, ...]) -> tuple[Haemorrhage, ...]:
    """Make haemorrhages smaller and less dense, or keep them."""
    if rng.random() >= SHARE:
        return haemorrhages
    scale, paler_hu = float(rng.uniform(SMALLEST, 1)), float(rng.uniform(0, PALEST_HU))
    return tuple(smaller_and_paler(haemorrhage, scale, paler_hu) for haemorrhage in haemorrhages)

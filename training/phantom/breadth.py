"""Harder studies to learn from: noisier, of other kernels, with smaller and paler blood, fuller, older, busier heads.

All within what a study is otherwise drawn from or at its edge. Noise and density stay short of the shifted sets. Sizes
go a little below theirs, as what bleeds in patients is small; heads are odd and brains old up to the middle of what
those of anatomy are, as patients are old: in that these sets are no news, or only in their farther half.
"""

from dataclasses import replace

import numpy as np

from training.phantom.acquisition import Scanner
from training.phantom.base import draw_base
from training.phantom.bleeds import Bleed
from training.phantom.mimics import Mimics
from training.phantom.shifts import lessened
from training.phantom.skull import Skull

SHARE = 0.5
NOISE_HU = (3.5, 8.0)
BLUR_PIXELS = (0.3, 1.1)
GRAIN_PIXELS = (0.2, 1.4)
SHARPENING = 0.35
SMALLEST = 0.7
PALEST_HU = 5.0
TAIL_HU = (60, 320)  # of bone on the brain beside it
ROOM_MM = (-1.4, 0.4)  # hardly any fluid between brain and dura
FACTOR = (0.96, 1.04)  # of a head's scale along each axis
WOBBLE_MM = (0.8, 4.2)
ATROPHY = (0.0, 3.4)  # as often much as little


def broad_skull(rng: np.random.Generator, skull: Skull) -> Skull:
    """A head that its brain fills up to the inner table, one of a form of its own, both, or the same one."""
    head = skull.head
    if rng.random() < SHARE:
        head = replace(head, room_mm=float(rng.uniform(*ROOM_MM)))
    if rng.random() < SHARE:
        x, y, z = (float(scale * rng.uniform(*FACTOR)) for scale in head.scale)
        head = replace(head, scale=(x, y, z), wobble_mm=float(rng.uniform(*WOBBLE_MM)))
    return replace(skull, head=head)


def broad_atrophy(rng: np.random.Generator, atrophy: float | None) -> float | None:
    """How much a brain has shrunk: much as often as little, or the same."""
    return float(rng.uniform(*ATROPHY)) if rng.random() < SHARE else atrophy


def broad_mimics(rng: np.random.Generator, skull: Skull, mimics: Mimics) -> Mimics:
    """More that is bright at the skull base, or the same."""
    return mimics + draw_base(rng, skull) if rng.random() < SHARE else mimics


def broad_scanner(rng: np.random.Generator, scanner: Scanner) -> Scanner:
    """A scanner with more noise and another kernel, or the same one."""
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


def broad_bleeds(rng: np.random.Generator, bleeds: tuple[Bleed, ...]) -> tuple[Bleed, ...]:
    """Blood smaller and less dense, or the same."""
    if rng.random() >= SHARE:
        return bleeds
    scale, paler_hu = float(rng.uniform(SMALLEST, 1)), float(rng.uniform(0, PALEST_HU))
    return tuple(lessened(bleed, scale, paler_hu) for bleed in bleeds)

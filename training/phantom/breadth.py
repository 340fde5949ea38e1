"""Harder studies to learn from: half of them noisier, of other kernels, with smaller and paler blood.

All within what a study is otherwise drawn from or at its edge, and short of the shifted sets, which stay unseen.
"""

from dataclasses import replace

import numpy as np

from training.phantom.acquisition import Scanner
from training.phantom.bleeds import Bleed
from training.phantom.shifts import lessened

SHARE = 0.5
NOISE_HU = (3.5, 8.0)
BLUR_PIXELS = (0.3, 1.1)
GRAIN_PIXELS = (0.2, 1.4)
SHARPENING = 0.35
SMALLEST = 0.8
PALEST_HU = 5.0


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
    )


def broad_bleeds(rng: np.random.Generator, bleeds: tuple[Bleed, ...]) -> tuple[Bleed, ...]:
    """Blood smaller and less dense, or the same."""
    if rng.random() >= SHARE:
        return bleeds
    scale, paler_hu = float(rng.uniform(SMALLEST, 1)), float(rng.uniform(0, PALEST_HU))
    return tuple(lessened(bleed, scale, paler_hu) for bleed in bleeds)

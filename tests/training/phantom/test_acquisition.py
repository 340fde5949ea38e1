from dataclasses import replace

import numpy as np
import pytest

from training.phantom.acquisition import Scanner, acquire
from training.phantom.geometry import SIZE

QUIET = Scanner(
    blur_pixels=0.5,
    sharpening=0,
    noise_hu=0,
    noise_grain_pixels=0.5,
    tail_hu=0,
    glow_hu=0,
    glow_pixels=6,
    hardening=0,
    bands_hu=0,
    cupping_hu=0,
    streaks_hu=0,
    ghost=0,
    ghost_pixels=(0, 0),
    offset_hu=0,
    gain=1,
    outside_hu=0,
)


def _blurred(scanner: Scanner, hu: float) -> np.ndarray:
    return acquire(scanner, np.full((SIZE, SIZE), hu, np.float32), np.random.default_rng(0))


def test_even_tissue_stays_as_it_is() -> None:
    assert np.all(_blurred(QUIET, 40) == 40)


def test_noise_has_its_deviation() -> None:
    assert _blurred(replace(QUIET, noise_hu=5.0), 40).std() == pytest.approx(5, rel=0.05)


def test_the_zero_and_the_gain_of_a_scanner() -> None:
    assert _blurred(replace(QUIET, offset_hu=3.0, gain=1.1), 40).mean() == pytest.approx(47, abs=0.5)


def test_bone_glows_into_its_surroundings() -> None:
    hu = np.full((SIZE, SIZE), 30, np.float32)
    hu[:, 80:120] = 1200
    scanners = (replace(QUIET, glow_hu=glow, tail_hu=glow) for glow in (0.0, 20.0))
    dull, glowing = (acquire(scanner, hu, np.random.default_rng(0)) for scanner in scanners)
    assert glowing[:, 123].mean() > dull[:, 123].mean() + 1


def test_outside_the_circle() -> None:
    assert _blurred(replace(QUIET, outside_hu=-2000), 40)[0, 0] == -2000

from dataclasses import replace

import numpy as np

from training.phantom.geometry import Points
from training.phantom.mimics import Mimics
from training.phantom.skull import depths
from training.phantom.skull_base import draw_base
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import StudyOptions

PATIENT = draw_patient(9_420_000, StudyOptions((), mimic=False))


def _base(seed: int) -> Mimics:
    return draw_base(np.random.default_rng(seed), PATIENT.skull)


def test_what_is_bright_lies_low_and_on_both_sides() -> None:
    for seed in range(20):
        grains = _base(seed).grains
        assert grains == _base(seed).grains
        assert len(grains) >= 2
        assert all(grain.hu > 40 for grain in grains)
        assert {np.sign(grain.centre_mm[0]) for grain in grains[:2]} == {-1, 1}
        assert max(grain.centre_mm[2] for grain in grains) < 0


def test_ridges_lie_on_the_wall_of_the_cavity() -> None:
    ridges = [grain for seed in range(20) for grain in _base(seed).grains[2:] if grain.radii_mm != (2.0, 3.0, 2.5)]
    x, y, z = np.array([grain.centre_mm for grain in ridges], np.float32).T
    # But for a few of the steep ones, which leave through a cleft of the ridged base.
    assert np.quantile(np.abs(depths(PATIENT.skull, Points(x, y, z)).cavity), 0.95) < 2


def test_it_brightens_the_base_and_is_no_blood() -> None:
    busier = replace(PATIENT, mimics=PATIENT.mimics + _base(3))
    places = np.array(PATIENT.scan.position_mm)
    low = [int(np.abs(places - height).argmin()) for height in (-30, -22)]
    before, after = make_study(PATIENT, low), make_study(busier, low)
    assert (after.hu.astype(int) - before.hu).max() > 30
    assert not after.labels.any()

from dataclasses import replace

import numpy as np

from training.phantom.brain import Anatomy, Brain, MassEffect, anatomy, draw_brain
from training.phantom.geometry import Points
from training.phantom.skull import depths, draw_skull

SKULL = draw_skull(np.random.default_rng(5))
BRAIN = draw_brain(np.random.default_rng(6), SKULL.head, atrophy=0.5)


def _plane(brain: Brain, z: float = 12) -> Anatomy:
    x, y = np.meshgrid(np.arange(-80, 81, 2, dtype=np.float32), np.arange(-95, 96, 2, dtype=np.float32))
    points = Points(x.ravel(), y.ravel(), np.full(x.size, z, np.float32))
    depth = depths(SKULL, points)
    inside = np.flatnonzero(depth.cavity > 0)
    return anatomy(brain, points.at(inside), vault_mm=depth.vault[inside], cavity_mm=depth.cavity[inside])


def test_shares_are_shares_and_tissue_is_soft() -> None:
    for z in (-40, -15, 12, 50):
        place = _plane(BRAIN, z)
        for share in (place.subarachnoid, place.ventricle, place.white):
            assert share.min() >= 0
            assert share.max() <= 1
        assert place.hu.min() > -20
        assert place.hu.max() < 100


def test_a_brain_that_has_shrunk_has_more_csf() -> None:
    shrunk = replace(BRAIN, atrophy=3, ventricle_mm=BRAIN.ventricle_mm + 3, sulci=BRAIN.sulci + 1.4)
    young, old = _plane(BRAIN), _plane(shrunk)
    assert old.ventricle.mean() > 1.5 * young.ventricle.mean()
    assert old.subarachnoid.mean() > 1.2 * young.subarachnoid.mean()
    assert old.hu.mean() < young.hu.mean()


def test_white_matter_is_darker_than_grey() -> None:
    place = _plane(BRAIN, 30)
    solid = (place.subarachnoid < 0.01) & (place.ventricle == 0) & (place.depth_mm > 3)
    white, grey = place.hu[solid & (place.white > 0.9)], place.hu[solid & (place.white < 0.1)]
    assert np.median(white) < np.median(grey) - 2


def test_a_push_moves_what_lies_near_and_nothing_far_away() -> None:
    displaced = BRAIN.with_mass_effects((MassEffect((40.0, 0.0, 12.0), (-8.0, 0.0, 0.0), 20.0),))
    before, after = _plane(BRAIN), _plane(displaced)
    away = before.points.distance((40.0, 0.0, 12.0))
    assert np.abs(after.hu - before.hu)[away < 20].max() > 3
    np.testing.assert_allclose(after.hu[away > 90], before.hu[away > 90], atol=0.6)


def test_the_sinuses_lie_along_the_vault() -> None:
    dense = replace(BRAIN, sinus_hu=90, dura_hu=30, falx=0)
    place = _plane(dense, 45)
    bright = place.hu > 75
    assert bright.any()
    assert place.vault_mm[bright].max() < 9
    assert np.abs(place.points.x[bright]).max() < 16

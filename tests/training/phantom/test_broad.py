from dataclasses import replace
from typing import Any

import numpy as np

from services.common.labels import Label
from training.phantom.broad import FACTOR, NOISE_HU, ROOM_MM
from training.phantom.head import Head
from training.phantom.study import draw_patient
from training.phantom.study_options import StudyOptions

SEEDS = range(9_400_000, 9_400_040)
KINDS: tuple[Label, ...] = ("subdural",)
USUAL, BROAD = (
    [draw_patient(seed, StudyOptions(kinds=KINDS, broad=broad)) for seed in SEEDS] for broad in (False, True)
)


def test_about_half_of_the_scanners_change_and_none_reaches_the_shifted_noise() -> None:
    changed = [broad.scanner for usual, broad in zip(USUAL, BROAD, strict=True) if usual.scanner != broad.scanner]
    assert 10 < len(changed) < 30
    assert all(NOISE_HU[0] <= scanner.noise_hu <= NOISE_HU[1] for scanner in changed)


def test_about_half_of_the_bleeds_are_paler_and_none_is_denser() -> None:
    paler = [
        usual.haemorrhages[0].blood.hu - broad.haemorrhages[0].blood.hu
        for usual, broad in zip(USUAL, BROAD, strict=True)
    ]
    assert min(paler) == 0
    assert max(paler) <= 5
    assert 10 < sum(value > 0 for value in paler) < 30


def test_about_half_of_the_heads_are_full_and_about_half_busier_at_the_base() -> None:
    pairs = list(zip(USUAL, BROAD, strict=True))
    rooms = [(usual.skull.head.room_mm, broad.skull.head.room_mm) for usual, broad in pairs]
    full = [broad for usual, broad in rooms if usual != broad]
    busier = [broad for usual, broad in pairs if len(broad.mimics.grains) > len(usual.mimics.grains)]
    assert 10 < len(full) < 30
    assert max(full) <= ROOM_MM[1]
    assert 10 < len(busier) < 30


def test_about_half_of_the_heads_have_another_form_less_far_off_than_the_shifted_ones() -> None:
    pairs = [(usual.skull.head, broad.skull.head) for usual, broad in zip(USUAL, BROAD, strict=True)]
    factors = np.array([np.divide(broad.scale, usual.scale) for usual, broad in pairs if usual.scale != broad.scale])
    assert 10 < len(factors) < 30
    assert FACTOR[0] - 1e-9 <= factors.min() < factors.max() <= FACTOR[1] + 1e-9


def test_brains_are_often_old() -> None:
    usual, broad = (np.array([patient.brain.atrophy for patient in every]) for every in (USUAL, BROAD))
    assert 10 < np.count_nonzero(usual != broad) < 30
    assert np.count_nonzero(broad > 2) > np.count_nonzero(usual > 2)
    assert broad.max() <= 3.4


def test_everything_else_stays_as_it_is() -> None:
    for usual, broad in zip(USUAL, BROAD, strict=True):
        assert usual.scan == broad.scan
        assert usual.mimics.grains[:3] == broad.mimics.grains[:3]
        assert replace(usual.skull, head=broad.skull.head, holes=broad.skull.holes) == broad.skull
        assert replace(usual.skull.head, **_form(broad.skull.head)) == broad.skull.head


def test_a_shift_of_anatomy_and_breadth_go_together() -> None:
    old = [draw_patient(seed, StudyOptions(kinds=(), shift="anatomy", broad=True)).brain.atrophy for seed in SEEDS]
    assert 10 < sum(atrophy > 2.6 for atrophy in old) < 40


def _form(head: Head) -> dict[str, Any]:
    return {"scale": head.scale, "wobble_mm": head.wobble_mm, "room_mm": head.room_mm}

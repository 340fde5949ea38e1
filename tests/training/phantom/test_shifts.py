import numpy as np
import pytest

from training.phantom.orders import SHIFTS, Order, Shift
from training.phantom.study import Patient, draw_patient

SEEDS = range(9_400_000, 9_400_008)


def _patients(shift: Shift | None) -> list[Patient]:
    return [draw_patient(seed, Order(kinds=("subdural",), shift=shift)) for seed in SEEDS]


def test_noise_and_kernel() -> None:
    assert min(patient.scanner.noise_hu for patient in _patients("noise and kernel")) >= 8


def test_thickness() -> None:
    thickness = [patient.scan.thickness_mm for patient in _patients("thickness")]
    assert all(value < 1 or value > 7 for value in thickness)


def test_hounsfield() -> None:
    for patient in _patients("hounsfield"):
        assert abs(patient.scanner.offset_hu) >= 7
        assert abs(patient.scanner.gain - 1) >= 0.1


def test_anatomy() -> None:
    assert min(patient.brain.atrophy for patient in _patients("anatomy")) > 2.5


def test_lesions() -> None:
    usual, smaller = (
        np.mean([bleed.blood.hu for patient in _patients(shift) for bleed in patient.bleeds])
        for shift in (None, "lesions")
    )
    assert smaller == pytest.approx(usual - 6)


@pytest.mark.parametrize("shift", SHIFTS)
def test_each_shift_changes_a_study(shift: Shift) -> None:
    assert _patients(shift) != _patients(None)

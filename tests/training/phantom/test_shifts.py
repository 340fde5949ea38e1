from dataclasses import fields

import numpy as np
import pytest

from training.phantom.study import Patient, draw_patient
from training.phantom.study_options import SHIFTS, Shift, StudyOptions

SEEDS = range(9_400_000, 9_400_008)


def _patients(shift: Shift | None, *, twin: bool = False) -> list[Patient]:
    return [draw_patient(seed, StudyOptions(kinds=("subdural",), shift=shift, twin=twin)) for seed in SEEDS]


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
        np.mean([haemorrhage.blood.hu for patient in _patients(shift) for haemorrhage in patient.haemorrhages])
        for shift in (None, "lesions")
    )
    assert smaller == pytest.approx(usual - 6)


@pytest.mark.parametrize("shift", SHIFTS)
def test_each_shift_changes_a_study(shift: Shift) -> None:
    assert _patients(shift) != _patients(None)


SHIFTED_PARTS: dict[Shift, set[str]] = {
    "noise and kernel": {"scanner"},
    "thickness": {"scan"},
    "hounsfield": {"scanner"},
    "anatomy": {"skull", "brain"},
    "lesions": {"haemorrhages"},
}
CONSEQUENCES: dict[Shift, set[str]] = {
    "anatomy": {"haemorrhages", "mimics"},  # both lie where their head has room for them
    "lesions": {"brain"},  # smaller haemorrhages displace it less
}


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_twin_differs_in_nothing_but_the_shift(shift: Shift) -> None:
    for shifted, twin in zip(_patients(shift), _patients(shift, twin=True), strict=True):
        differing = {
            field.name for field in fields(Patient) if getattr(shifted, field.name) != getattr(twin, field.name)
        }
        assert SHIFTED_PARTS[shift] <= differing <= SHIFTED_PARTS[shift] | CONSEQUENCES.get(shift, set())
        assert [type(haemorrhage) for haemorrhage in shifted.haemorrhages] == [
            type(haemorrhage) for haemorrhage in twin.haemorrhages
        ]


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_twin_is_drawn_as_studies_usually_are(shift: Shift) -> None:
    for twin in _patients(shift, twin=True):
        assert twin.scanner.noise_hu <= 8
        assert twin.scan.thickness_mm < 7
        assert abs(twin.scanner.gain - 1) < 0.2
        assert twin.brain.atrophy <= 3.4

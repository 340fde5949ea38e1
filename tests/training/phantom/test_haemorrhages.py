import numpy as np
import pytest

from services.common.labels import SUBTYPES, Label
from training.phantom.brain import Anatomy, anatomy
from training.phantom.findings import draw_haemorrhages
from training.phantom.haemorrhages import Crescent, mix
from training.phantom.skull import depths
from training.phantom.study import Patient, draw_patient


def _inside(patient: Patient, position_mm: float) -> Anatomy:
    points = patient.scan.points(position_mm)
    depth = depths(patient.skull, points)
    index = np.flatnonzero(depth.cavity > 0)
    return anatomy(patient.brain, points.at(index), vault_mm=depth.vault[index], cavity_mm=depth.cavity[index])


@pytest.mark.parametrize("kind", SUBTYPES)
@pytest.mark.parametrize("seed", range(3))
def test_fractions_are_shares(kind: Label, seed: int) -> None:
    patient = draw_patient(9_100_000 + seed)
    place = _inside(patient, 10)
    for haemorrhage in draw_haemorrhages(np.random.default_rng(seed), kind, patient.skull):
        hu, share = mix(haemorrhage, place, place.hu)
        assert haemorrhage.label == kind
        assert hu.shape == share.shape == place.hu.shape
        assert share.min() >= 0
        assert share.max() <= 1
        assert np.isfinite(hu).all()


def test_a_subdural_stays_on_its_side() -> None:
    patient = draw_patient(9_100_007)
    for seed in range(20):
        haemorrhage = draw_haemorrhages(np.random.default_rng(seed), "subdural", patient.skull)[0]
        if isinstance(haemorrhage, Crescent):
            place = _inside(patient, haemorrhage.centre_mm[2])
            other = np.sign(haemorrhage.centre_mm[0]) * place.points.x < 0
            assert not haemorrhage.fraction(place)[other].any()


@pytest.mark.parametrize("seed", range(4))
def test_subarachnoid_blood_lies_in_csf(seed: int) -> None:
    patient = draw_patient(9_100_009)
    place = _inside(patient, 0)
    for haemorrhage in draw_haemorrhages(np.random.default_rng(seed), "subarachnoid", patient.skull):
        assert not haemorrhage.fraction(place)[place.subarachnoid == 0].any()


def test_intraventricular_blood_lies_in_ventricles() -> None:
    patient = draw_patient(9_100_009)
    place = _inside(patient, 8)
    share = draw_haemorrhages(np.random.default_rng(1), "intraventricular", patient.skull)[0].fraction(place)
    assert np.all(share <= place.ventricle + 1e-6)

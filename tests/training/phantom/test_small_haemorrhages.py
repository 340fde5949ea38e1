import numpy as np
import pytest

from services.common.labels import SUBTYPES, Label
from training.phantom.haemorrhages import Cast, Crescent, Film, Haematoma, Haemorrhage, Lens, Sheet
from training.phantom.study import Patient, draw_patient, make_study
from training.phantom.study_options import StudyOptions

SEEDS = range(9_770_000, 9_770_060)


def _drawn(kind: Label, *, small: float) -> list[Patient]:
    return [draw_patient(seed, StudyOptions(kinds=(kind,), small=small)) for seed in SEEDS]


def _lengths(haemorrhage: Haemorrhage) -> tuple[float, ...]:
    match haemorrhage:
        case Haematoma():
            return haemorrhage.radii_mm
        case Crescent() | Sheet() | Lens():
            return haemorrhage.radius_mm, haemorrhage.thickness_mm
        case Film():
            return (haemorrhage.radius_mm,)
        case Cast():
            return (60 - haemorrhage.behind_mm,)
    raise TypeError(type(haemorrhage).__name__)


@pytest.mark.parametrize("kind", SUBTYPES)
def test_about_half_of_what_bleeds_is_smaller_and_lies_where_it_lay(kind: Label) -> None:
    pairs = list(zip(_drawn(kind, small=0.0), _drawn(kind, small=0.5), strict=True))
    changed = [
        (usual.haemorrhages, small.haemorrhages) for usual, small in pairs if usual.haemorrhages != small.haemorrhages
    ]
    assert 18 < len(changed) < 42
    before, after = (
        np.median([_lengths(haemorrhages[0])[0] for haemorrhages in every]) for every in zip(*changed, strict=True)
    )
    assert after < 0.75 * before
    for usual, small in changed:
        assert [type(haemorrhage) for haemorrhage in usual] == [type(haemorrhage) for haemorrhage in small]
        for one, other in zip(usual, small, strict=True):
            assert getattr(one, "centre_mm", None) == getattr(other, "centre_mm", None)
            assert 46 <= other.blood.hu <= 70


def test_another_share_is_of_the_same_studies_and_of_more() -> None:
    usual, half, most, every = (_drawn("subarachnoid", small=share) for share in (0.0, 0.5, 0.75, 1.0))
    for patient, *shares in zip(usual, half, most, every, strict=True):
        changed = [patient.haemorrhages != other.haemorrhages for other in shares]
        assert changed == sorted(changed)
        assert changed[-1]


def test_all_else_of_a_patient_stays() -> None:
    for usual, small in zip(_drawn("subdural", small=0.0), _drawn("subdural", small=0.5), strict=True):
        for part in ("skull", "mimics", "scan", "scanner"):
            assert getattr(usual, part) == getattr(small, part)


def test_crescents_stand_out_of_what_bone_blurs() -> None:
    drawn = [haemorrhage for patient in _drawn("subdural", small=0.5) for haemorrhage in patient.haemorrhages]
    crescents = [haemorrhage for haemorrhage in drawn if isinstance(haemorrhage, Crescent)]
    assert min(haemorrhage.thickness_mm for haemorrhage in crescents) >= 3
    assert min(haemorrhage.radius_mm for haemorrhage in crescents) >= 10


def test_small_haemorrhages_are_on_few_slices() -> None:
    pairs = zip(_drawn("intraparenchymal", small=0.0), _drawn("intraparenchymal", small=0.5), strict=True)
    changed = [(usual, small) for usual, small in pairs if usual.haemorrhages != small.haemorrhages][:3]
    before, after = (
        [make_study(patient).labels[:, 0].sum() for patient in every] for every in zip(*changed, strict=True)
    )
    assert 0 < np.median(after) <= 5
    assert np.sum(after) < np.sum(before)

from dataclasses import replace

import numpy as np
import pytest

from services.common.labels import SUBTYPES, Label
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import StudyOptions
from training.research.painted_blood import LARGE, SMALL, Head, Sizes, make_head, paint, visible_slices


@pytest.fixture(scope="module")
def head() -> Head:
    patient = draw_patient(9_820_000, StudyOptions((), mimic=False))
    places = np.array(patient.scan.position_mm)
    study = make_study(patient, [int(index) for index in np.flatnonzero(np.abs(places - 20) < 25)])
    return make_head(study.hu.astype(np.float32), study.scan.pixel_mm, study.position_mm)


def _made(head: Head, kind: Label) -> list[np.ndarray]:
    return [paint(head, kind, np.random.default_rng(seed)) for seed in range(6)]


@pytest.mark.parametrize("kind", SUBTYPES)
def test_blood_lies_inside_the_skull_where_its_kind_does(head: Head, kind: Label) -> None:
    depths = []
    for hu in _made(head, kind):
        brighter = hu - head.hu
        assert not brighter[head.depth_mm == 0].any()
        depths.append(head.depth_mm[brighter > 8])
    every = np.concatenate(depths)
    assert len(every)
    outer = {"epidural": 20, "subdural": 12.5, "subarachnoid": 24}
    if kind in outer:
        assert np.quantile(every, 0.99) < outer[kind]
    else:
        assert np.median(every) > 15


@pytest.mark.parametrize("kind", SUBTYPES)
def test_small_blood_is_less_of_it(head: Head, kind: Label) -> None:
    def most(sizes: Sizes) -> float:
        made = [paint(head, kind, np.random.default_rng(seed), sizes) for seed in range(3)]
        return float(np.mean([np.count_nonzero(hu - head.hu > 8) for hu in made]))

    assert 0 < most(SMALL) < 0.6 * most(LARGE)


def test_blood_is_as_dense_as_blood(head: Head) -> None:
    for hu in _made(head, "intraparenchymal"):
        core = (hu - head.hu) > 15
        assert 48 < np.median(hu[core]) < 80


def test_the_same_draw_makes_the_same_blood(head: Head) -> None:
    one, same, other = (paint(head, "subdural", np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 10


def test_slices_are_positive_where_they_became_brighter(head: Head) -> None:
    hu = head.hu.copy()
    hu[2, 100:110, 100:110] += 20
    hu[3, 100:103, 100:103] += 4
    assert np.flatnonzero(visible_slices(head, hu)).tolist() == [2]


def test_distance_goes_through_the_slices(head: Head) -> None:
    away = head.away_mm((1, 50, 60))
    assert away[1, 50, 60] == 0
    assert away[1, 50, 70] == pytest.approx(10 * head.pixel_mm)
    assert away[2, 50, 60] == pytest.approx(abs(head.position_mm[2] - head.position_mm[1]))


def test_a_head_without_fluid_has_no_place_for_blood_in_it(head: Head) -> None:
    dry = replace(head, hu=np.maximum(head.hu, 30))
    for kind in ("subarachnoid", "intraventricular"):
        assert paint(dry, kind, np.random.default_rng(0)) is dry.hu

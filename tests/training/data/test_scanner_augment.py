import numpy as np
import pytest

from training.data.pictures import Pictures, make_study_pictures
from training.data.scanner_augment import NO_AUGMENT, ScannerAugment
from training.phantom.study_options import StudyOptions, StudyRequest


@pytest.fixture(scope="module")
def study() -> Pictures:
    return make_study_pictures(StudyRequest(9_700_000, 3, StudyOptions(kinds=("subdural",))))


def test_a_study_is_shown_by_so_many_scanners_and_always_the_same(study: Pictures) -> None:
    first, again = (list(ScannerAugment(count=2, alone=True).show(study)) for _ in range(2))
    assert len(first) == 2
    for one, same in zip(first, again, strict=True):
        assert one.shape == study.small.shape
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, same)
        assert 0.5 < np.abs(one.astype(float) - study.small).mean() < 40
    assert np.abs(first[0].astype(float) - first[1]).mean() > 0.5


def test_other_studies_meet_other_scanners(study: Pictures) -> None:
    other = make_study_pictures(StudyRequest(9_700_001, 3, StudyOptions(kinds=("subdural",))))
    mine, theirs = (
        next(ScannerAugment(count=1, alone=True).show(each)).astype(float) - each.small for each in (study, other)
    )
    assert abs(mine[..., 1].std() - theirs[..., 1].std()) > 0.01


def test_it_comes_as_drawn_first_where_they_are_not_alone(study: Pictures) -> None:
    drawn, *others = ScannerAugment(count=2).show(study)
    np.testing.assert_array_equal(drawn, study.small)
    alone = list(ScannerAugment(count=2, alone=True).show(study))
    for one, same in zip(others, alone, strict=True):
        np.testing.assert_array_equal(one, same)


def test_as_drawn_is_shown_by_none(study: Pictures) -> None:
    (drawn,) = NO_AUGMENT.show(study)
    np.testing.assert_array_equal(drawn, study.small)

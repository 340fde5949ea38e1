from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training.small_networks import small_cnn
from training.data.scanner_augment import ScannerAugment
from training.evaluate import feature_cache
from training.evaluate.feature_cache import CnnFeatureCache
from training.evaluate.predictions import StudyFeatures
from training.phantom.study_options import StudyOptions, StudyRequest

WANTED = [StudyRequest(9_600_000 + number, 2 + number, StudyOptions(kinds=("epidural",))) for number in range(2)]


def _columns(case: StudyFeatures) -> list[NDArray[Any]]:
    series = case.series
    return [series.features, series.position_mm, series.labels, series.label_mask, case.bright, case.brain]


def test_a_second_run_takes_up_what_the_first_has_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = CnnFeatureCache(small_cnn(), tmp_path).of(WANTED, name="phantoms: a test")
    monkeypatch.setattr(feature_cache, "study_features", None)
    again = CnnFeatureCache(small_cnn(), tmp_path)
    second = again.of(WANTED, name="phantoms: a test")
    assert again.spent_before_s > 0
    assert [len(case.bright) for case in second] == [2, 3]
    for one, other in zip(first, second, strict=True):
        for mine, theirs in zip(_columns(one), _columns(other), strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype


def test_another_network_and_other_studies_are_not_answered_from_the_folder(tmp_path: Path) -> None:
    cnn = small_cnn()
    (first,) = CnnFeatureCache(cnn, tmp_path).of(WANTED[:1], name="test")
    (other,) = CnnFeatureCache(cnn, tmp_path).of(WANTED[1:], name="test")
    assert len(other.bright) == 3
    cnn.trunk.variables[0].assign(cnn.trunk.variables[0] + 1)
    changed = CnnFeatureCache(cnn, tmp_path)
    (third,) = changed.of(WANTED[:1], name="test")
    assert changed.spent_before_s == 0
    assert not np.array_equal(first.series.features, third.series.features)


def test_what_other_scanners_make_of_a_study_follows_it_and_is_kept_apart(tmp_path: Path) -> None:
    cnn = small_cnn()
    (drawn,) = CnnFeatureCache(cnn, tmp_path).of(WANTED[:1], name="test")
    shown = CnnFeatureCache(cnn, tmp_path)
    found = shown.of(WANTED[:1], name="test", others=ScannerAugment(count=2))
    assert shown.spent_before_s == 0
    assert len(found) == 3
    np.testing.assert_array_equal(found[0].series.features, drawn.series.features)
    for case in found[1:]:
        assert not np.array_equal(case.series.features, drawn.series.features)
        np.testing.assert_array_equal(case.series.labels, drawn.series.labels)
        np.testing.assert_array_equal(case.series.position_mm, drawn.series.position_mm)

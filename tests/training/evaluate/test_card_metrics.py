"""The metrics of a card, by predictors of known quality on studies without pictures."""

import json
from collections.abc import Sequence

import numpy as np
import pytest

from services.common.labels import LABELS
from services.common.operating_points import OperatingPoint, Thresholds
from training.data.series import Series
from training.evaluate.card_metrics import TEST_SET, beside, level_metrics, middle_slices, phantom_metrics
from training.evaluate.metrics import SINGLE_SLICES
from training.evaluate.predictions import (
    Prediction,
    Predictors,
    StudyFeatures,
    TwinStudies,
    lengths_of,
    predict_by_count,
    score_levels,
)

HALF = dict.fromkeys(LABELS, 0.5)
POINTS: dict[OperatingPoint, Thresholds] = {"default": Thresholds(slice=HALF, series=HALF)}
SLICES = 8


def _study(number: int, *, noise: float = 0.0) -> StudyFeatures:
    """A study whose only feature is its label, plus noise; haemorrhage in the upper half of every second study."""
    labels = np.zeros((SLICES, 6), bool)
    labels[SLICES // 2 :] = number % 2 == 1
    features = labels[:, :1] + np.random.default_rng(number).normal(0, noise, (SLICES, 1))
    series = Series(features.astype(np.float32), np.arange(SLICES, dtype=np.float32), labels, np.ones_like(labels))
    return StudyFeatures(series, np.arange(SLICES, dtype=np.int32), np.full(SLICES, 7, np.int32))


def _predict(studies: Sequence[Series]) -> list[Prediction]:
    slices = [np.repeat(study.features.clip(0.1, 0.9), 6, axis=1) for study in studies]
    return [(each, each.max(axis=0)) for each in slices]


def _constant(studies: Sequence[Series]) -> list[Prediction]:
    return [(np.full((SLICES, 6), 0.5, np.float32), np.full(6, 0.5, np.float32)) for _ in studies]


PREDICTORS = Predictors(_predict, {SINGLE_SLICES: _constant})
STUDIES = [_study(number) for number in range(6)]


def test_a_perfect_predictor_beside_its_baselines() -> None:
    metrics = phantom_metrics(PREDICTORS, STUDIES, {}, POINTS)
    assert metrics["data"] == TEST_SET
    assert (metrics["studies"], metrics["slices"]) == (6, 48)
    assert metrics["slice"]["any"]["auc"] == metrics["series"]["any"]["auc"] == 1
    assert metrics["slice"]["any"]["positives"] == 12
    assert metrics["healthy_slices_median_any"] == 0.1
    assert set(metrics["beside"]) == {SINGLE_SLICES, "pixels from 50 to 100 HU", "area of the brain"}
    assert metrics["beside"][SINGLE_SLICES]["slice"]["any"] == 0.5
    assert metrics["beside"]["pixels from 50 to 100 HU"]["slice"]["any"] > 0.5, "upper slices count more"
    assert metrics["beside"]["area of the brain"]["slice"]["any"] == 0.5
    assert metrics["shifted"] == {}
    assert metrics["with_twins"]["series"] == 6
    json.dumps(metrics, allow_nan=False)


def test_a_shift_is_compared_with_its_twins_and_with_the_test_set() -> None:
    shifted = [_study(number, noise=1.0) for number in range(10, 16)]
    twins = [_study(number) for number in range(10, 16)]
    metrics = phantom_metrics(PREDICTORS, STUDIES, {"thickness": TwinStudies(shifted, twins)}, POINTS)
    found = metrics["shifted"]["thickness"]
    assert found["slice_auc"]["any"] < 1
    assert found["any_slice_auc_lost"] == found["any_slice_auc_drop"] == pytest.approx(1 - found["slice_auc"]["any"])
    low, high = found["any_slice_auc_lost_95_interval"]
    assert 0 <= low <= found["any_slice_auc_lost"] <= high
    assert metrics["with_twins"]["series"] == 12, "the six and the six twins"


def test_curves_belong_to_their_level() -> None:
    series = [study.series for study in STUDIES]
    levels = score_levels(series, _predict(series))
    curves = level_metrics(*levels, lengths_of(series), POINTS)["curves"]
    for level, cases in (("slice", 48), ("series", 6)):
        assert curves[level]["any"]["roc"] == [1.0] * 21
        assert sum(count for *_, count in curves[level]["any"]["reliability"]) == cases


def test_a_series_of_one_slice_is_measured_by_its_slice() -> None:
    labels = np.ones((1, 6), bool)
    one = Series(np.zeros((1, 1), np.float32), np.zeros(1, np.float32), labels, labels)
    levels = score_levels([one], [(np.full((1, 6), 0.9, np.float32), np.full(6, 0.2, np.float32))])
    metrics = level_metrics(*levels, [1], POINTS)
    assert metrics["series"]["any"]["default"]["sensitivity"] == 1
    assert metrics["healthy_slices_median_any"] is None


def test_the_middle_half_of_each_study() -> None:
    assert middle_slices([8]).tolist() == [False, False, True, True, True, True, False, False]
    assert middle_slices([1, 4]).tolist() == [True, False, True, True, False]


def test_beside_takes_any_predictions() -> None:
    series = [study.series for study in STUDIES]
    found = beside(series, {"own": _predict(series), "counts": [predict_by_count(study.bright) for study in STUDIES]})
    assert found["own"]["series"]["any"] == 1
    assert found["own"]["middle_slice"]["any"] == 1
    assert found["counts"]["series"]["any"] == 0.5


def test_groups_are_drawn_together() -> None:
    series = [study.series for study in STUDIES]
    slices, whole = score_levels(series, _predict(series), np.array([0, 0, 1, 1, 2, 2]))
    assert slices.study.tolist() == [number for number in (0, 1, 2) for _ in range(2 * SLICES)]
    assert whole.study.tolist() == [0, 0, 1, 1, 2, 2]

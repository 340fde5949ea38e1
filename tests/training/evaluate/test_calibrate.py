from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.labels import LABELS
from services.common.operating_points import Bases, out_of_order
from training.evaluate.apply_thresholds import predict_rows, predict_studies
from training.evaluate.calibrate import GOAL, fit_operating_points, fit_temperatures
from training.evaluate.metrics import ScoredLabels


def _drawn(count: int, *, temperature: float) -> ScoredLabels:
    """Logits that are too sure by a factor, and truth drawn from what they should have been."""
    rng = np.random.default_rng(0)
    honest = rng.normal(-0.5, 2, (count, 6)).astype(np.float32)
    honest[:, 0] = honest.max(axis=1) + 0.2
    truth = rng.random((count, 6)) < 1 / (1 + np.exp(-honest))
    return ScoredLabels(honest * np.float32(temperature), truth, np.ones_like(truth), np.arange(count))


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_temperatures_are_found_again(temperature: float) -> None:
    found = fit_temperatures(_drawn(4000, temperature=temperature))
    np.testing.assert_allclose(found, temperature, rtol=0.15)


def _probabilities(drawn: ScoredLabels) -> ScoredLabels:
    return replace(drawn, scores=1 / (1 + np.exp(-drawn.scores)))


def _of_one_slice(level: ScoredLabels) -> tuple[ScoredLabels, ScoredLabels, list[int]]:
    """Series that are their slices: nothing of a slice is lost to its series."""
    return level, level, [1] * len(level.scores)


def _sensitivity(predicted: np.ndarray, scored: ScoredLabels, column: int) -> float:
    return float(predicted[scored.truth[:, column], column].mean())


def _specificity(predicted: np.ndarray, scored: ScoredLabels, column: int) -> float:
    return float((~predicted[~scored.truth[:, column], column]).mean())


def test_operating_points_reach_their_goal_by_the_served_rule() -> None:
    level = _probabilities(_drawn(3000, temperature=1))
    points = fit_operating_points(*_of_one_slice(level))
    for column, label in enumerate(LABELS):
        found = {name: predict_rows(level.scores, point.series) for name, point in points.items()}
        assert _sensitivity(found["sensitive"], level, column) >= GOAL
        basis = points["specific"].basis
        assert basis
        if basis.series[label] != "not_reached":
            assert _specificity(found["specific"], level, column) >= GOAL
        assert points["default"].series[label] == 0.5


def test_a_point_beyond_the_default_is_clamped() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((400, 1)) < 0.5).repeat(6, axis=1)
    level = ScoredLabels(np.where(truth, 0.9, 0.1), truth, np.ones_like(truth), np.arange(400))
    points = fit_operating_points(*_of_one_slice(level))
    for name in ("sensitive", "specific"):
        assert set(points[name].slice.values()) == {0.5}
        assert points[name].basis == Bases(
            slice=dict.fromkeys(LABELS, "clamped"), series=dict.fromkeys(LABELS, "clamped")
        )


def test_slices_whose_series_is_missed_are_counted_as_missed() -> None:
    """Twenty series of ten slices; the label of ten is present, and one of them is missed at any point."""
    truth = np.repeat(np.arange(20) < 10, 10)[:, None].repeat(6, axis=1)
    rng = np.random.default_rng(0)
    scores = np.where(truth, rng.uniform(0.3, 0.6, truth.shape), rng.uniform(0, 0.2, truth.shape))
    slices = ScoredLabels(scores, truth, np.ones_like(truth), np.repeat(np.arange(20), 10))
    whole = np.where(truth[::10], 0.8, 0.1)
    whole[0] = 0.05
    series = ScoredLabels(whole, truth[::10], np.ones_like(truth[::10]), np.arange(20))
    sensitive = fit_operating_points(slices, series, [10] * 20)["sensitive"]
    assert sensitive.basis
    assert sensitive.basis.slice["subdural"] == "goal_met"  # at 95 % of ten, the missed series is called
    assert sensitive.series["subdural"] < 0.05
    few = replace(
        series, label_mask=np.zeros_like(series.label_mask)
    )  # too few: series stay at .5, and miss one of ten
    sensitive = fit_operating_points(slices, few, [10] * 20)["sensitive"]
    assert sensitive.basis
    assert set(sensitive.basis.series.values()) == {"too_few_cases"}
    assert sensitive.basis.slice["subdural"] == "not_reached"
    assert 0.3 <= sensitive.slice["subdural"] < 0.33  # for 95 % of the nine others


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 4), st.integers(5, 60))
@settings(max_examples=40)
def test_points_are_always_ordered_and_monotone(seed: int, spread: float, count: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, count).tolist()
    truth = rng.random((sum(lengths), 6)) < rng.random(6)
    logits = rng.normal(0, spread, truth.shape) + 2 * truth
    slices = ScoredLabels(1 / (1 + np.exp(-logits)), truth, np.ones_like(truth), np.repeat(np.arange(count), lengths))
    starts = np.cumsum(lengths) - lengths
    series = ScoredLabels(rng.random((count, 6)), np.logical_or.reduceat(truth, starts), truth[starts] | True, starts)
    points = fit_operating_points(slices, series, lengths)
    assert out_of_order(points) == []
    every = [
        predict_studies(slices.scores, series.scores, lengths, points[name])
        for name in ("sensitive", "default", "specific")
    ]
    for loose, strict in pairwise(every):
        assert (loose.slice >= strict.slice).all()
        assert (loose.series >= strict.series).all()


def test_too_few_cases_leave_one_half() -> None:
    truth = np.zeros((50, 6), bool)
    level = ScoredLabels(np.full((50, 6), 0.1, np.float32), truth, ~truth, np.arange(50))
    specific = fit_operating_points(*_of_one_slice(level))["specific"]
    assert set(specific.slice.values()) == {0.5}
    assert specific.basis
    assert set(specific.basis.series.values()) == {"too_few_cases"}

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from services.common.labels import LABELS
from training.evaluate.metrics import (
    ScoredLabels,
    auc,
    auc_loss,
    aucs,
    average_precision,
    calibration_error,
    chance_calibration_error,
    interval,
    log_loss,
    measure,
    precision_recall,
    reliability,
    roc,
)

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40)


def _scored(scores: np.ndarray, truth: np.ndarray) -> ScoredLabels:
    return ScoredLabels(scores.astype(np.float32), truth, np.ones_like(truth), np.arange(len(truth)) // 2)


@given(PAIRS)
def test_auc_is_the_share_of_pairs_in_order(pairs: list[tuple[int, bool]]) -> None:
    scores, truth = np.array([float(score) for score, _ in pairs]), np.array([true for _, true in pairs])
    wins = [(a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]]
    if wins:
        assert auc(scores, truth) == pytest.approx(np.mean(wins))
        assert auc(scores, truth) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    else:
        assert np.isnan(auc(scores, truth))


@given(PAIRS)
def test_average_precision_is_scikit_learns(pairs: list[tuple[int, bool]]) -> None:
    scores, truth = np.array([float(score) for score, _ in pairs]), np.array([true for _, true in pairs])
    if truth.any():
        assert average_precision(scores, truth) == pytest.approx(average_precision_score(truth, scores))
    else:
        assert np.isnan(average_precision(scores, truth))


def test_log_loss_of_a_coin() -> None:
    assert log_loss(np.full(4, 0.5, np.float32), np.array([True, False, True, False])) == pytest.approx(np.log(2))


def test_calibration_of_the_honest_and_of_the_sure() -> None:
    rng = np.random.default_rng(0)
    honest = rng.random(20000)
    truth = rng.random(20000) < honest
    assert calibration_error(honest, truth) < 0.02
    assert calibration_error(np.ones(20000), truth) == pytest.approx(0.5, abs=0.02)
    assert calibration_error(np.zeros(0), np.zeros(0, bool)) == 0


def test_chance_alone_leaves_a_calibration_error_the_larger_the_fewer_the_cases() -> None:
    said = np.random.default_rng(1).uniform(0, 1, 20000)
    few, many = chance_calibration_error(said[:100]), chance_calibration_error(said)
    assert many < 0.01
    assert 0.08 < few < 0.16
    assert chance_calibration_error(np.ones(50)) == 0


def test_roc_and_reliability() -> None:
    truth = np.array([False] * 20 + [True] * 20)
    scores = np.concatenate([np.linspace(0, 0.5, 20), np.linspace(0.3, 1, 20)])
    sensitivities = roc(scores, truth)
    assert sensitivities == sorted(sensitivities)
    assert sensitivities[0] == pytest.approx((scores[20:] > 0.5).mean(), abs=1e-3)
    assert sensitivities[-1] == 1
    assert roc(scores[:20], truth[:20]) == []
    assert sum(cases for *_, cases in reliability(scores, truth)) == 40
    assert reliability(np.full(4, 0.9), np.array([True, True, False, True])) == [[0.9, 0.75, 4]]


@given(PAIRS)
def test_sensitivities_of_the_roc_are_those_above_the_allowed_negatives(pairs: list[tuple[int, bool]]) -> None:
    scores, truth = np.array([float(score) for score, _ in pairs]), np.array([true for _, true in pairs])
    if truth.all() or not truth.any():
        assert roc(scores, truth) == []
        return
    thresholds = np.quantile(scores[~truth], np.linspace(1, 0, 21), method="higher")[:-1]
    expected = [round(float((scores[truth] > threshold).mean()), 4) for threshold in thresholds]
    assert roc(scores, truth) == [*expected, 1.0]


@given(PAIRS)
def test_precisions_are_of_the_scores_that_reach_each_sensitivity(pairs: list[tuple[int, bool]]) -> None:
    scores, truth = np.array([float(score) for score, _ in pairs]), np.array([true for _, true in pairs])
    if truth.all() or not truth.any():
        assert precision_recall(scores, truth) == []
        return
    positive = np.sort(scores[truth])[::-1]
    counts = np.ceil(np.arange(1, 21) * len(positive) / 20).astype(int)
    assert precision_recall(scores, truth) == [
        round(float(truth[scores >= positive[count - 1]].mean()), 4) for count in counts
    ]


def test_figures_of_every_label_survive_json() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((60, 6)) < 0.4
    truth[:, 3] = False
    figures = measure(_scored(truth, truth), {"default": truth})
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["any"]["auc"] == figures["any"]["average_precision"] == 1
    assert figures["any"]["default"] == {"sensitivity": 1, "specificity": 1}
    assert figures["intraventricular"]["auc"] is None


def test_uncertain_slices_do_not_count() -> None:
    truth = np.array([[True] * 6, [False] * 6, [True] * 6])
    scored = _scored(np.array([[0.9] * 6, [0.1] * 6, [0.0] * 6]), truth)
    label_mask = np.array([[True] * 6, [True] * 6, [False] * 6])
    assert aucs(replace(scored, label_mask=label_mask))["any"] == 1
    assert aucs(scored)["any"] == 0.5


def test_the_interval_holds_the_figure_and_draws_whole_studies() -> None:
    rng = np.random.default_rng(1)
    study = np.repeat(np.arange(10), 20)
    truth = rng.random(200) < 0.5
    scores = truth + rng.normal(0, 1, 200)
    low, high = interval(auc, scores, truth, study)
    assert low is not None
    assert high is not None
    assert low < auc(scores, truth) < high
    assert interval(auc, scores, truth, np.zeros(200, int)) == [pytest.approx(auc(scores, truth), abs=1e-4)] * 2


def _of_studies(scores: np.ndarray, truth: np.ndarray, study: np.ndarray) -> ScoredLabels:
    every = np.ones((1, 6), bool)
    return ScoredLabels(scores[:, None] * every, truth[:, None] & every, np.ones((len(truth), 6), bool), study)


def _difference(before: ScoredLabels, after: ScoredLabels) -> float:
    return auc(*before.of(0)[:2]) - auc(*after.of(0)[:2])


def test_what_is_lost_is_drawn_by_pairs() -> None:
    rng = np.random.default_rng(2)
    study = np.repeat(np.arange(40), 10)
    truth = np.repeat(np.arange(40) % 2 == 0, 10)
    easy = np.repeat(rng.normal(0, 1, 40), 10)  # some studies are harder than others, before and after
    before = _of_studies(2 * truth + easy, truth, study)
    after = _of_studies(truth + easy, truth, study)
    loss, (low, high) = auc_loss(before, after)
    assert loss is not None
    assert low is not None
    assert high is not None
    assert loss == pytest.approx(_difference(before, after), abs=1e-4)
    assert 0 < low < loss < high
    narrower, _ = interval(auc, *after.of(0))
    assert narrower is not None
    assert loss - low < auc(*after.of(0)[:2]) - narrower


def test_nothing_is_lost_by_what_stays_and_other_slices_may_be_asked_about() -> None:
    study, truth = np.repeat(np.arange(6), 4), np.tile([True, False], 12)
    scored = _of_studies(np.linspace(0, 1, 24), truth, study)
    assert auc_loss(scored, scored) == (0, [0, 0])
    fewer = scored.at(np.arange(24) % 4 < 2)
    assert auc_loss(scored, fewer)[0] == pytest.approx(_difference(scored, fewer), abs=1e-4)


def test_a_label_that_nothing_is_known_of_has_no_figures() -> None:
    scored = _scored(np.linspace(0, 1, 24).reshape(4, 6), np.eye(4, 6, dtype=bool))
    scored.label_mask[:, 2:] = False
    found = measure(scored, {"default": scored.scores > 0.5})
    for label in LABELS[2:]:
        figures = dict(found[label])
        assert figures.pop("positives") == figures.pop("negatives") == 0
        assert figures.pop("auc_95_interval") == figures.pop("average_precision_95_interval") == [None, None]
        assert set(figures.pop("default").values()) == set(figures.values()) == {None}
    assert found["any"]["positives"] == 1
    assert found["any"]["auc"] is not None

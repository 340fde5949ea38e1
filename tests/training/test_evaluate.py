import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.labels import LABELS
from training.evaluate import auc, auc_interval, log_loss, measure

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40)


@given(PAIRS)
def test_auc_is_the_share_of_pairs_in_order(pairs: list[tuple[int, bool]]) -> None:
    scores, truth = np.array([score for score, _ in pairs]), np.array([true for _, true in pairs])
    wins = [(a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]]
    if wins:
        assert auc(scores, truth) == pytest.approx(np.mean(wins))
    else:
        assert np.isnan(auc(scores, truth))


def test_log_loss_of_a_coin() -> None:
    assert log_loss(np.full(4, 0.5, np.float32), np.array([True, False, True, False])) == pytest.approx(np.log(2))


def test_figures_of_every_label_survive_json() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((60, 6)) < 0.4
    truth[:, 3] = False
    thresholds = {"default": dict.fromkeys(LABELS, 0.5)}
    figures = measure(truth.astype(np.float32), truth, np.ones_like(truth), thresholds)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["any"]["auc"] == 1
    assert figures["any"]["default"] == {"sensitivity": 1, "specificity": 1}
    assert figures["intraventricular"]["auc"] is None


def test_uncertain_slices_do_not_count() -> None:
    truth = np.array([[True] * 6, [False] * 6, [True] * 6])
    certain = np.array([[True] * 6, [True] * 6, [False] * 6])
    scores = np.array([[0.9] * 6, [0.1] * 6, [0.0] * 6], np.float32)
    assert measure(scores, truth, certain, {})["any"]["auc"] == 1


def test_the_interval_holds_the_figure() -> None:
    rng = np.random.default_rng(1)
    truth = [rng.random(20) < 0.5 for _ in range(10)]
    scores = [true + rng.normal(0, 1, 20) for true in truth]
    low, high = auc_interval(scores, truth)
    assert low is not None
    assert high is not None
    assert low < auc(np.concatenate(scores), np.concatenate(truth)) < high

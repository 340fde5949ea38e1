from dataclasses import replace

import numpy as np
import pytest

from training.calibrate import GOAL, operating_points, temperatures
from training.evaluate import Judged


def _drawn(count: int, *, temperature: float) -> Judged:
    """Logits that are too sure by a factor, and truth drawn from what they should have been."""
    rng = np.random.default_rng(0)
    honest = rng.normal(-0.5, 2, (count, 6)).astype(np.float32)
    honest[:, 0] = honest.max(axis=1) + 0.2
    truth = rng.random((count, 6)) < 1 / (1 + np.exp(-honest))
    return Judged(honest * np.float32(temperature), truth, np.ones_like(truth), np.arange(count))


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_temperatures_are_found_again(temperature: float) -> None:
    found = temperatures(_drawn(4000, temperature=temperature))
    np.testing.assert_allclose(found, temperature, rtol=0.15)


def test_operating_points_reach_their_goal() -> None:
    drawn = _drawn(3000, temperature=1)
    probabilities, truth = 1 / (1 + np.exp(-drawn.scores)), drawn.truth
    level = replace(drawn, scores=probabilities)
    points = operating_points(level, level)
    for column, label in enumerate(points["default"].slice):
        scores, true = probabilities[:, column], truth[:, column]
        assert (scores[true] > points["sensitive"].slice[label]).mean() >= GOAL
        assert (scores[~true] <= points["specific"].slice[label]).mean() >= GOAL
        assert points["sensitive"].slice[label] <= points["specific"].slice[label]
        assert points["default"].series[label] == 0.5


def test_too_few_cases_leave_one_half() -> None:
    truth = np.zeros((50, 6), bool)
    level = Judged(np.full((50, 6), 0.1, np.float32), truth, ~truth, np.arange(50))
    assert set(operating_points(level, level)["specific"].slice.values()) == {0.5}

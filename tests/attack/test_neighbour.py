"""Tests of the verdicts, with answers that break each limit."""

import pytest

from tests.attack.neighbour import Neighbour

GOOD = [(200, 0.1)] * 20


@pytest.mark.parametrize(
    ("predictions", "livez", "served"),
    [
        (GOOD, GOOD, True),
        ([*GOOD[1:], (503, 0.1)], GOOD, True),
        ([*GOOD[2:], (503, 0.1), (503, 0.1)], GOOD, False),
        ([*GOOD[2:], (0, 0.1), (0, 0.1)], GOOD, False),
        (GOOD, [*GOOD[2:], (503, 0.1), (503, 0.1)], False),
        (GOOD, [(200, 0.6)] * 20, False),
        (GOOD, [*GOOD[1:], (200, 9.0)], True),
        ([(200, 30.0)] * 20, GOOD, True),
        ([], GOOD, False),
        (GOOD, [], False),
    ],
    ids=["good", "one", "two", "none", "dead", "slow", "one slow", "slow prediction", "no prediction", "no livez"],
)
def test_the_second_sender_is_served_or_not(
    predictions: list[tuple[int, float]], livez: list[tuple[int, float]], *, served: bool
) -> None:
    assert Neighbour(predictions, livez).served == served


def test_figures_are_of_the_95th_percentile() -> None:
    found = Neighbour([(200, second / 100) for second in range(100)], [(200, 2.0), (503, 1.0)])
    assert (found.prediction_s, found.livez_s, found.share) == (0.94, 1.0, 1.0)

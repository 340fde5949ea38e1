from itertools import islice

import numpy as np
import pytest

from training.data.stream import Batch, Stream, _roll, empty_batch
from training.options.stream import StreamOptions

PLAN = StreamOptions(
    studies_a_round=3, slices_a_study=4, steps_a_round=2, rounds_kept=3, rounds_at_first=2, first_seed=9_600_000
)


def _batches(first: int, count: int) -> list[Batch]:
    with Stream(PLAN, batch=6, positives=0.5, seed=3) as stream:
        return list(islice(stream.batches(first), count))


@pytest.fixture(scope="module")
def straight() -> list[Batch]:
    return _batches(0, 7)


def test_half_of_a_batch_has_blood(straight: list[Batch]) -> None:
    for small, labels, label_mask, blood in straight:
        assert small.shape == (6, 256, 256, 2)
        assert blood.shape == (6, 32, 32, 5)
        assert labels[:, 0].tolist() == [True] * 3 + [False] * 3
        assert label_mask.shape == (6, 6)
        assert np.all(blood[:3].any(axis=(1, 2, 3)))


def test_a_stream_taken_up_gives_what_it_would_have_given(straight: list[Batch]) -> None:
    # From step 6 on the first rounds have left the pool, and need not be made again.
    for here, there in zip(straight[6:], _batches(6, 1), strict=True):
        for one, two in zip(here, there, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("down", [-2, 0, 1])
@pytest.mark.parametrize("right", [-1, 0, 2])
def test_pictures_are_rolled_as_numpy_rolls_them(down: int, right: int) -> None:
    source = np.arange(5 * 6 * 2).reshape(5, 6, 2)
    out = np.zeros_like(source)
    _roll(source[:, ::-1], down, right, out)
    np.testing.assert_array_equal(out, np.roll(source[:, ::-1], (down, right), (0, 1)))


def test_another_step_is_another_batch(straight: list[Batch]) -> None:
    assert (straight[0][0] != straight[1][0]).any()


def test_an_empty_batch_is_like_any_other(straight: list[Batch]) -> None:
    for empty, drawn in zip(empty_batch(6), straight[0], strict=True):
        assert (empty.shape, empty.dtype) == (drawn.shape, drawn.dtype)


def test_rounds_come_by_the_step() -> None:
    assert [PLAN.rounds_by(step) for step in range(5)] == [2, 2, 3, 3, 4]
    assert [wanted.seed for wanted in PLAN.requests(2)] == [9_600_006, 9_600_007, 9_600_008]
    assert PLAN.slices_by(4) == 4 * 3 * 4

"""Splitting and joining the arrays of a batch."""

import numpy as np
import pytest

from services.cnn.extractor import batch_sizes, concatenate_outputs, split_into_batches, split_outputs


def test_batch_sizes_are_the_largest_and_powers_of_two() -> None:
    assert batch_sizes(16) == (16, 8, 4, 2, 1)
    assert batch_sizes(12) == (12, 8, 4, 2, 1)
    assert batch_sizes(1) == (1,)
    assert [len(part) for part in split_into_batches(np.zeros((31, 1), np.uint8), batch_sizes(16))] == [16, 8, 4, 2, 1]


@pytest.mark.parametrize("sizes", [(1,), (2, 3), (4, 0, 1)])
def test_split_outputs_join_to_the_whole(sizes: tuple[int, ...]) -> None:
    whole = {"features": np.random.default_rng(0).random((sum(sizes), 3), np.float32)}
    parts = split_outputs(whole, sizes)
    assert [len(part["features"]) for part in parts] == list(sizes)
    np.testing.assert_array_equal(concatenate_outputs(parts)["features"], whole["features"])


def test_no_parts_join_to_no_outputs() -> None:
    assert concatenate_outputs([]) == {}

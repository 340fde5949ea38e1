import numpy as np
import pytest

from tests.training.fakes import FakeShards
from training.data.batches import BatchSampler
from training.data.stream import Stream
from training.options.stream import StreamOptions
from training.train.batches import ShardBatches, StreamBatches

STREAM = StreamOptions(
    studies_a_round=3, slices_a_study=4, steps_a_round=2, rounds_kept=3, rounds_at_first=3, first_seed=9_700_000
)


def test_batches_of_shards_are_those_of_their_step() -> None:
    shards = FakeShards()
    sampler = BatchSampler(shards, shards.entries, 5)
    whole, rest = ShardBatches(sampler, 0, 6, readers=2), ShardBatches(sampler, 3, 6, readers=2)
    assert (len(whole), len(rest)) == (6, 3)
    for index in range(3):
        np.testing.assert_array_equal(whole[3 + index][0], rest[index][0])
        for one, two in zip(whole[3 + index][1], rest[index][1], strict=True):
            np.testing.assert_array_equal(one, two)


def test_batches_of_a_stream_come_in_order_and_the_first_ones_twice() -> None:
    with Stream(STREAM, batch=4, positives=0.5, seed=0, processes=1) as stream:
        batches = StreamBatches(stream, 0, 6)
        first = [batches[index][0] for index in range(2)]
        again = [batches[index][0] for index in range(4)]
        later = StreamBatches(stream, 2, 6)[0][0]
        assert len(batches) == 6
        with pytest.raises(KeyError):
            _ = [batches[index] for index in range(5)] and batches[0]
    for one, two in zip(first, again, strict=False):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(later, again[2])

import numpy as np

from tests.training.fakes import FakeShards
from training.data.batches import BatchSampler


def _sampler(seed: int = 0, positives: float | None = None) -> BatchSampler:
    shards = FakeShards()
    return BatchSampler(shards, shards.entries, size=5, seed=seed, positives=positives)


def test_every_slice_is_shown_once_an_epoch() -> None:
    sampler = _sampler()
    shown = np.concatenate([sampler.chosen(step) for step in range(24)])  # 24 steps of 5 are five epochs of 24
    for epoch in range(5):
        part = shown[epoch * 24 : (epoch + 1) * 24]
        assert len(np.unique(part, axis=0)) == 24
    assert not np.array_equal(shown[:24], shown[24:48])


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    np.testing.assert_array_equal(_sampler().chosen(7), _sampler().chosen(7))
    assert not np.array_equal(_sampler().chosen(7), _sampler(seed=1).chosen(7))


def test_slices_without_labels_are_left_out() -> None:
    shards = FakeShards()
    shards.entries[0].label_mask[:] = False
    assert 0 not in BatchSampler(shards, shards.entries, size=5).rows[:, 0]


def test_a_share_of_slices_with_blood() -> None:
    sampler = _sampler(positives=0.4)
    assert sampler.read(3).labels[:, 0].sum() == 2

from pathlib import Path

import numpy as np
import tensorflow as tf

from training.data.series import Series
from training.networks.source_rnn import SourceShape, build_source_rnn
from training.options.rnn import RnnFit
from training.train.phantom_cnn import label_loss
from training.train.sequence import Checkpoints, filled_up, fit_on, new_rnn

SHAPE = SourceShape(lstm=(6, 5), gru=4)


def _series(count: int) -> Series:
    rng = np.random.default_rng(count)
    features = rng.normal(0, 1, (count, 7)).astype(np.float32)
    labels = rng.random((count, 6)) < 0.3
    return Series(features, np.arange(count, dtype=np.float32) * 5, labels, np.ones((count, 6), bool))


def test_filling_up_changes_nothing() -> None:
    piece = _series(5)
    rnn = build_source_rnn(SHAPE, piece.features)
    features, position_mm, labels, label_mask = (array[None] for array in filled_up(piece, 19))
    padded, series = rnn.logits([features, position_mm])
    plain, plain_series = rnn.logits([piece.features[None], piece.position_mm[None]])
    np.testing.assert_allclose(padded[:, :5], plain, atol=1e-6)
    np.testing.assert_allclose(series, plain_series, atol=1e-6)
    np.testing.assert_allclose(
        label_loss(padded, labels, label_mask), label_loss(plain, piece.labels[None], piece.label_mask[None]), atol=1e-6
    )


def test_it_learns_from_windows_of_short_and_long_series(tmp_path: Path) -> None:
    studies = [_series(count) for count in (3, 19, 30)]
    rnn = new_rnn(SHAPE, None, studies)
    before = [np.asarray(each) for each in rnn.logits.trainable_variables]
    fit_on(rnn, SHAPE, RnnFit(steps=2, batch=4, rate=1e-3), studies, Checkpoints(tmp_path / "going.npz"))
    after = [np.asarray(each) for each in rnn.logits.trainable_variables]
    assert all(np.isfinite(each).all() for each in after)
    assert any(not np.array_equal(one, two) for one, two in zip(before, after, strict=True))


def test_one_slice_is_served() -> None:
    piece = _series(1)
    answer = build_source_rnn(SHAPE, piece.features).serving(
        tf.constant(piece.features), tf.constant(piece.position_mm)
    )
    assert answer["slice_probabilities"].shape == (1, 6)

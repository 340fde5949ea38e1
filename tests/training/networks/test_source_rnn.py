import numpy as np
import tensorflow as tf

from training.data.series import Series
from training.networks.loss import label_loss
from training.networks.source_rnn import SourceShape, build_source_rnn
from training.train.rnn import pad_to

SHAPE = SourceShape(lstm=(6, 5), gru=4)


def _series(count: int) -> Series:
    rng = np.random.default_rng(count)
    features = rng.normal(0, 1, (count, 7)).astype(np.float32)
    labels = rng.random((count, 6)) < 0.3
    return Series(features, np.arange(count, dtype=np.float32) * 5, labels, np.ones((count, 6), bool))


def test_padding_changes_neither_logits_nor_loss() -> None:
    piece = _series(5)
    rnn = build_source_rnn(SHAPE, piece.features)
    features, position_mm, labels, label_mask = (array[None] for array in pad_to(piece, 19))
    padded, series = rnn.logits([features, position_mm])
    plain, plain_series = rnn.logits([piece.features[None], piece.position_mm[None]])
    np.testing.assert_allclose(padded[:, :5], plain, atol=1e-6)
    np.testing.assert_allclose(series, plain_series, atol=1e-6)
    np.testing.assert_allclose(
        label_loss(padded, labels, label_mask), label_loss(plain, piece.labels[None], piece.label_mask[None]), atol=1e-6
    )


def test_one_slice_is_served() -> None:
    piece = _series(1)
    answer = build_source_rnn(SHAPE, piece.features).serving(
        tf.constant(piece.features), tf.constant(piece.position_mm)
    )
    assert answer["slice_probabilities"].shape == (1, 6)

"""The signature of the RNN in SavedModels and compiled functions."""

import tensorflow as tf


def rnn_signature(size: int) -> list[tf.TensorSpec]:
    """Return the specifications of features (n, size) and positions (n,) in mm."""
    return [
        tf.TensorSpec([None, size], tf.float32, name="features"),
        tf.TensorSpec([None], tf.float32, name="position_mm"),
    ]

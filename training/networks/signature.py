"""The RNN's inputs, as the SavedModel and TensorFlow's compiled calls declare them."""

import tensorflow as tf


def rnn_signature(size: int) -> list[tf.TensorSpec]:
    """What the RNN takes: features (n, size) and positions (n,)."""
    return [
        tf.TensorSpec([None, size], tf.float32, name="features"),
        tf.TensorSpec([None], tf.float32, name="position_mm"),
    ]

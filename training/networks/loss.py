"""Losses of the networks, in Keras' operations for any backend."""

from typing import Any

import keras
import numpy as np
from keras import ops

LABEL_WEIGHTS = np.array([2, 1, 1, 1, 1, 1], np.float32)  # of the competition: `any` counts twice
FULL = 255  # of a cell in which all is blood


def label_loss(logits: Any, labels: Any, label_mask: Any) -> Any:
    """Return the mean weighted binary cross-entropy over the labels in `label_mask`; all (..., 6).

    On several replicas of TensorFlow, the sum of the replicas' losses is the loss of the whole batch.
    """
    labels, weights = ops.cast(labels, "float32"), ops.cast(label_mask, "float32") * LABEL_WEIGHTS
    losses = ops.binary_crossentropy(labels, logits, from_logits=True)
    return ops.sum(losses * weights) / (sum_over_replicas(ops.sum(weights)) + 1e-6)


def blood_loss(logits: Any, blood: Any) -> Any:
    """Return the cross-entropy of the map of blood, both (b, 32, 32, 5); blood is uint8 or float, 255 is all.

    Blood counts three times; a cell half full counts as full.
    """
    target = ops.minimum(ops.cast(blood, "float32") * (2 / FULL), 1.0)
    losses = ops.binary_crossentropy(target, logits, from_logits=True) + 2 * target * ops.softplus(-logits)
    return ops.mean(losses) * 10


def sum_over_replicas(value: Any) -> Any:
    """Return the sum of a scalar over the replicas of TensorFlow; JAX computes over the whole batch."""
    if keras.backend.backend() != "tensorflow":
        return value
    import tensorflow as tf  # noqa: PLC0415 - a GPU's machine may have JAX only

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)

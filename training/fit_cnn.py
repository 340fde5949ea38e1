"""Training of the CNN on shrunk pictures: six labels, and where the blood is."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.cnn import SMALL, Cnn, CnnShape, build_cnn
from training.pictures import Pictures

LOG = logging.getLogger(__name__)
Batch = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]
LABEL_WEIGHTS = np.array([2, 1, 1, 1, 1, 1], np.float32)


@dataclass(frozen=True, slots=True)
class CnnFit:
    """How the CNN is trained."""

    steps: int
    batch: int = 32
    rate: float = 2e-3
    decay: float = 0.02
    positives: float = 0.5  # share of slices with blood in a batch
    blood_weight: float = 4.0
    seed: int = 0


def fit_cnn(shape: CnnShape, fit: CnnFit, pictures: Pictures) -> Cnn:
    """A trained network. Its weights are the running mean of the last hundreds of steps."""
    keras.utils.set_random_seed(fit.seed)
    cnn = build_cnn(shape)
    variables = [*cnn.trunk.trainable_variables, *cnn.last.trainable_variables]
    schedule = keras.optimizers.schedules.CosineDecay(
        fit.rate * 0.05, fit.steps, warmup_target=fit.rate, warmup_steps=max(fit.steps // 20, 1), alpha=0.02
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=fit.decay, use_ema=True, ema_momentum=0.99, clipnorm=2.0)
    optimizer.build(variables)
    step = _step(cnn, optimizer, variables, fit.blood_weight)
    _follow(step, batches(pictures, fit), fit)
    optimizer.finalize_variable_values(variables)
    return cnn


def batches(pictures: Pictures, fit: CnnFit) -> Iterator[Batch]:
    """Batches without end: small pictures, labels, certainty and blood; mirrored and moved at random."""
    rng = np.random.default_rng(fit.seed)
    positive, negative = (np.flatnonzero(pictures.labels[:, 0] == value) for value in (True, False))
    count = round(fit.batch * fit.positives)
    while True:
        index = np.concatenate([rng.choice(positive, count), rng.choice(negative, fit.batch - count)])
        small, blood = pictures.small[index], pictures.blood[index]
        if rng.integers(2):
            small, blood = small[:, :, ::-1], blood[:, :, ::-1]
        # Cells of the grid are moved whole, and what leaves one edge is air that may come in at the other.
        down, right = (int(value) for value in rng.integers(-2, 3, 2))
        small, blood = np.roll(small, (8 * down, 8 * right), (1, 2)), np.roll(blood, (down, right), (1, 2))
        yield small, pictures.labels[index], pictures.certain[index], blood


def features(cnn: Cnn, small: NDArray[np.uint8], *, batch: int = 64) -> NDArray[np.float32]:
    """Feature vectors (m, d) of small pictures (m, 256, 256, 2)."""
    signature = [tf.TensorSpec([None, *SMALL], tf.uint8)]
    call = tf.function(lambda x: cnn.trunk(x, training=False)[0], input_signature=signature)
    parts = [call(tf.constant(small[start : start + batch])).numpy() for start in range(0, len(small), batch)]
    return np.concatenate(parts).astype(np.float32)


def _step(cnn: Cnn, optimizer: Any, variables: list[Any], blood_weight: float) -> Any:
    def step(small: Any, labels: Any, certain: Any, blood: Any) -> Any:
        with tf.GradientTape() as tape:
            vector, grid = cnn.trunk(small, training=True)
            loss = label_loss(cnn.last(vector), labels, certain) + blood_weight * _blood_loss(grid, blood)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return tf.function(step, jit_compile=False)


def label_loss(logits: Any, labels: Any, certain: Any) -> Any:
    """Mean binary cross-entropy where labels are certain, `any` counting twice."""
    labels, weights = tf.cast(labels, tf.float32), tf.cast(certain, tf.float32) * LABEL_WEIGHTS
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    return tf.reduce_sum(losses * weights) / (tf.reduce_sum(weights) + 1e-6)


def _blood_loss(grid: Any, blood: Any) -> Any:
    """Cross-entropy of every cell's share of blood; half a cell full counts as full."""
    target = tf.minimum(tf.cast(blood, tf.float32) * (2 / 255), 1.0)
    losses = tf.nn.weighted_cross_entropy_with_logits(target, grid, pos_weight=3.0)
    return tf.reduce_mean(losses) * 10


def _follow(step: Any, source: Iterator[Batch], fit: CnnFit) -> None:
    start, losses = time.monotonic(), []
    for number in range(1, fit.steps + 1):
        losses.append(float(step(*(tf.constant(np.ascontiguousarray(array)) for array in next(source)))))
        if number % max(fit.steps // 10, 1) == 0:
            spent = time.monotonic() - start
            left = spent / number * (fit.steps - number)
            rate = number * fit.batch / spent
            LOG.info(
                "cnn: step %d of %d, loss %.3f, %.0f slices/s, %.0f s left",
                number,
                fit.steps,
                np.mean(losses),
                rate,
                left,
            )
            losses.clear()

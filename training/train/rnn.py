"""Training of the RNN on the CNN's features: whole series and pieces of them, down to one slice."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from training.data.series import Series
from training.networks.rnn import Rnn, RnnShape, build_rnn, joined
from training.options.rnn import RnnFit
from training.train.phantom_cnn import label_loss

LOG = logging.getLogger(__name__)
EVERY_SECOND = 0.2  # share of pieces that skip every second slice


Draw = Callable[[int], tuple[NDArray[Any], ...]]  # as `draw_batch`, by the number of the step


class Keep(Protocol):
    """Where a training leaves checkpoints."""

    def restore(self, variables: Sequence[Any]) -> int:
        """Put back what was kept; the steps that are done."""

    def after(self, step: int, variables: Sequence[Any]) -> None:
        """Keep, where it is time to."""


def fit_rnn(shape: RnnShape, fit: RnnFit, last: layers.Dense, studies: Sequence[Series]) -> Rnn:
    """A trained network, or several as one; the temperatures are still at 1."""
    return joined([_fit_one(shape, replace(fit, seed=fit.seed + n), last, studies) for n in range(fit.members)])


def _fit_one(shape: RnnShape, fit: RnnFit, last: layers.Dense, studies: Sequence[Series]) -> Rnn:
    keras.utils.set_random_seed(fit.seed)
    rnn = build_rnn(shape, last, np.concatenate([study.features for study in studies]))
    rng = np.random.default_rng(fit.seed)
    teach(rnn, fit, lambda _: draw_batch(rng, studies, fit))
    return rnn


def teach(rnn: Rnn, fit: RnnFit, draw: Draw, *, optimizer: Any = None, keep: Keep | None = None) -> None:
    """Let a network learn from the batches that `draw` gives for each step, 0 and up."""
    variables = rnn.logits.trainable_variables
    optimizer = optimizer or usual_optimizer(fit)
    optimizer.build(variables)
    held = [*rnn.logits.variables, *optimizer.variables]
    step, first, start = _step(rnn, optimizer, variables, fit), keep.restore(held) if keep else 0, time.monotonic()
    for number in range(first + 1, fit.steps + 1):
        loss = step(*(tf.constant(array) for array in draw(number - 1)))
        if keep:
            keep.after(number, held)
        if number % max(fit.steps // 5, 1) == 0:
            left = (time.monotonic() - start) / (number - first) * (fit.steps - number)
            LOG.info("rnn: step %d of %d, loss %.3f, %.0f s left", number, fit.steps, float(loss), left)
    if optimizer.use_ema:
        optimizer.finalize_variable_values(variables)


def usual_optimizer(fit: RnnFit) -> Any:
    """AdamW with a falling rate and a running mean of the weights."""
    schedule = keras.optimizers.schedules.CosineDecay(fit.rate, fit.steps, alpha=0.02)
    return keras.optimizers.AdamW(schedule, weight_decay=fit.decay, use_ema=True, ema_momentum=0.99, clipnorm=1.0)


def draw_batch(rng: np.random.Generator, studies: Sequence[Series], fit: RnnFit) -> tuple[NDArray[Any], ...]:
    """Pieces of one length: features (b, n, d), positions (b, n), labels and certainty (b, n, 6).

    One batch in six is of single slices, which are answered as series of length one.
    """
    length = 1 if rng.random() < 1 / 6 else int(rng.integers(2, fit.longest + 1))
    count = fit.batch * 4 if length == 1 else fit.batch
    chosen = [studies[index] for index in rng.integers(0, len(studies), count)]
    pieces = [_piece(rng, study, length) for study in chosen]
    return tuple(np.stack(column) for column in zip(*pieces, strict=True))


def _piece(rng: np.random.Generator, study: Series, length: int) -> tuple[NDArray[Any], ...]:
    """Neighbouring slices of a study, or every second one; a study that is too short is read again from its end."""
    count = len(study.features)
    stride = 2 if count >= 2 * length and rng.random() < EVERY_SECOND else 1
    start = int(rng.integers(0, max(count - stride * length + 1, 1)))
    index = np.minimum(start + stride * np.arange(length), count - 1)
    return study.features[index], study.position_mm[index], study.labels[index], study.label_mask[index]


def _step(rnn: Rnn, optimizer: Any, variables: list[Any], fit: RnnFit) -> Any:
    def step(features: Any, position_mm: Any, labels: Any, label_mask: Any) -> Any:
        present = tf.reduce_any(labels, axis=1)
        filled = tf.math.is_nan(position_mm)[..., None]  # rows that are no slices, where series are too short
        known = present | tf.reduce_all(label_mask | filled, axis=1)
        with tf.GradientTape() as tape:
            slices, series = rnn.logits([features, position_mm], training=True)
            loss = label_loss(slices, labels, label_mask) + fit.series_weight * label_loss(series, present, known)
            loss += fit.bag_weight * label_loss(tf.reduce_max(slices, axis=1), present, known)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return tf.function(step, reduce_retracing=True, jit_compile=False)

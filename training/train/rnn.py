"""Training of the RNN on features: pieces of series, or the source project's windows."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from training.data.series import Series
from training.io.checkpoints import restore, save
from training.networks.loss import label_loss
from training.networks.rnn import Rnn, RnnShape, build_rnn, joined
from training.networks.source_rnn import SourceShape, build_source_rnn
from training.options.rnn import RnnOptions

LOG = logging.getLogger(__name__)
STRIDED_SHARE: Final = 0.2  # of pieces that skip every second slice
NORMALISED_SERIES: Final = 1000  # series from which mean and variance of features are computed
CHECKPOINT_STEPS: Final = 200
WINDOW: Final = 19  # slices, in the source project

Batch = tuple[NDArray[Any], ...]  # features (b, n, d), positions (b, n), labels and label_mask (b, n, 6)
Draw = Callable[[np.random.Generator], Batch]


def fit_rnn(
    shape: RnnShape | SourceShape,
    options: RnnOptions,
    last: layers.Dense,
    studies: Sequence[Series],
    checkpoints: Path | None = None,
) -> Rnn:
    """Train an RNN behind a CNN's last layer; its temperatures are still 1.

    checkpoints : folder from which an interrupted training resumes; None for no checkpoints
    """
    members = new_members(shape, options, last, studies)
    for number, member in enumerate(members):
        own = replace(options, seed=options.seed + number)
        path = checkpoints / f"{number}.npz" if checkpoints else None
        if len(members) > 1:
            LOG.info("rnn: network %d of %d", number + 1, len(members))
        fit_member(member, own, studies, path, source=isinstance(shape, SourceShape))
    return joined(members)


def new_members(
    shape: RnnShape | SourceShape, options: RnnOptions, last: layers.Dense, studies: Sequence[Series]
) -> list[Rnn]:
    """Return the networks of an RNN with fresh weights, each from its own seed."""
    features = np.concatenate([study.features for study in studies[:NORMALISED_SERIES]])
    members = []
    for number in range(options.members):
        keras.utils.set_random_seed(options.seed + number)
        if isinstance(shape, SourceShape):
            members.append(build_source_rnn(shape, features))
        else:
            members.append(build_rnn(shape, last, features))
    return members


def fit_member(
    rnn: Rnn,
    options: RnnOptions,
    studies: Sequence[Series],
    checkpoint: Path | None,
    *,
    source: bool,
    every: int = CHECKPOINT_STEPS,
) -> None:
    """Train one network. With a checkpoint, the batch of a step depends on the seed and the step only.

    Without one, batches come from one random generator: the seeds of the default bundle were selected so.

    checkpoint : file from which an interrupted training resumes; None for no checkpoint
    source : train on windows with Nadam as the source project does, instead of pieces with AdamW
    every : steps between two checkpoints
    """
    keras.utils.set_random_seed(options.seed)
    optimizer = keras.optimizers.Nadam(options.rate, clipnorm=1.0) if source else _adamw(options)
    draw = _windows(studies, options) if source else _pieces(studies, options)
    variables = rnn.logits.trainable_variables
    optimizer.build(variables)
    held = [*rnn.logits.variables, *optimizer.variables]
    first = int(restore(checkpoint, held)["step"]) if checkpoint and checkpoint.exists() else 0
    step, start = _step(rnn, optimizer, variables, options), time.monotonic()
    rng = np.random.default_rng(options.seed)
    for number in range(first + 1, options.steps + 1):
        if checkpoint:
            rng = np.random.default_rng([options.seed, number - 1])
        loss = step(*(tf.constant(array) for array in draw(rng)))
        if checkpoint and (number % every == 0 or number == options.steps):
            save(checkpoint, held, step=number)
        if number % max(options.steps // 5, 1) == 0:
            left = (time.monotonic() - start) / (number - first) * (options.steps - number)
            LOG.info("rnn: step %d of %d, loss %.3f, %.0f s left", number, options.steps, float(loss), left)
    if optimizer.use_ema:
        optimizer.finalize_variable_values(variables)


def _adamw(options: RnnOptions) -> Any:
    schedule = keras.optimizers.schedules.CosineDecay(options.rate, options.steps, alpha=0.02)
    return keras.optimizers.AdamW(schedule, weight_decay=options.decay, use_ema=True, ema_momentum=0.99, clipnorm=1.0)


def _pieces(studies: Sequence[Series], options: RnnOptions) -> Draw:
    return lambda rng: draw_pieces(rng, studies, options)


def _windows(studies: Sequence[Series], options: RnnOptions) -> Draw:
    def draw(rng: np.random.Generator) -> Batch:
        chosen = [studies[number] for number in rng.integers(0, len(studies), options.batch)]
        return _stacked([_window(rng, study, WINDOW) for study in chosen])

    return draw


def draw_pieces(rng: np.random.Generator, studies: Sequence[Series], options: RnnOptions) -> Batch:
    """Draw pieces of one length from random series.

    One batch in six has single slices, since a slice that is sent alone is a series of length one.
    """
    length = 1 if rng.random() < 1 / 6 else int(rng.integers(2, options.longest + 1))
    count = options.batch * 4 if length == 1 else options.batch
    chosen = [studies[index] for index in rng.integers(0, len(studies), count)]
    return _stacked([_piece(rng, study, length) for study in chosen])


def _piece(rng: np.random.Generator, study: Series, length: int) -> Batch:
    """Adjacent slices of a study, or every second one; the last slice of a short study is repeated."""
    count = len(study.features)
    stride = 2 if count >= 2 * length and rng.random() < STRIDED_SHARE else 1
    start = int(rng.integers(0, max(count - stride * length + 1, 1)))
    index = np.minimum(start + stride * np.arange(length), count - 1)
    return study.features[index], study.position_mm[index], study.labels[index], study.label_mask[index]


def _window(rng: np.random.Generator, study: Series, length: int) -> Batch:
    start = int(rng.integers(0, max(len(study.features) - length, 0) + 1))
    part = slice(start, start + length)
    piece = Series(study.features[part], study.position_mm[part], study.labels[part], study.label_mask[part])
    return pad_to(piece, length)


def pad_to(piece: Series, length: int) -> Batch:
    """Append rows that are no slices: their labels are masked and their position is NaN."""
    missing = length - len(piece.features)
    rows = ((0, missing), (0, 0))
    return (
        np.pad(piece.features, rows),
        np.pad(piece.position_mm, (0, missing), constant_values=np.nan),
        np.pad(piece.labels, rows),
        np.pad(piece.label_mask, rows),
    )


def _stacked(rows: Sequence[Batch]) -> Batch:
    return tuple(np.stack(column) for column in zip(*rows, strict=True))


def _step(rnn: Rnn, optimizer: Any, variables: list[Any], options: RnnOptions) -> Any:
    def step(features: Any, position_mm: Any, labels: Any, label_mask: Any) -> Any:
        present = tf.reduce_any(labels, axis=1)
        padding = tf.math.is_nan(position_mm)[..., None]
        mask = present | tf.reduce_all(label_mask | padding, axis=1)
        with tf.GradientTape() as tape:
            slices, series = rnn.logits([features, position_mm], training=True)
            loss = label_loss(slices, labels, label_mask) + options.series_weight * label_loss(series, present, mask)
            loss += options.bag_weight * label_loss(tf.reduce_max(slices, axis=1), present, mask)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return tf.function(step, reduce_retracing=True, jit_compile=False)

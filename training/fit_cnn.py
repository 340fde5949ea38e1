"""Training of the CNN on shrunk pictures as they are made: six labels, and where the blood is."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.begin import begin_from
from training.checkpoint import restore, save
from training.cnn import SMALL, Cnn, CnnShape, build_cnn
from training.stream import Batch, Stream, StreamPlan

LOG = logging.getLogger(__name__)
LABEL_WEIGHTS = np.array([2, 1, 1, 1, 1, 1], np.float32)
SOFT = 255 / 200  # levels of the subdural window for a Hounsfield unit
Extractor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
Watch = Callable[[Cnn], dict[str, float]]


@dataclass(frozen=True, slots=True)
class CnnFit:
    """How the CNN is trained."""

    steps: int
    batch: int = 32
    rate: float = 2e-3
    decay: float = 0.02
    positives: float = 0.5  # share of slices with blood in a batch
    blood_weight: float = 4.0
    kept: float = 0.0  # share of the weights that it began with in those that it ends with
    seed: int = 0
    stream: StreamPlan = field(default_factory=StreamPlan)


@dataclass(frozen=True, slots=True)
class Progress:
    """What one training leaves in its folder: `cnn.npz` to go on from, `cnn.jsonl` with the loss."""

    folder: Path
    watch: Watch | None = None  # asked for figures after every so many steps
    watch_steps: int = 1000
    save_s: float = 240.0  # between two checkpoints
    begin: Path | None = None  # a bundle whose networks the training goes on from

    @property
    def checkpoint(self) -> Path:
        return self.folder / "cnn.npz"

    def minutes(self) -> float:
        """How long the training took up to its last checkpoint, over all its runs."""
        with np.load(self.checkpoint) as held:
            return float(held["spent_s"]) / 60

    def write(self, **figures: float) -> None:
        """Append one line of figures."""
        with (self.folder / "cnn.jsonl").open("a") as file:
            file.write(json.dumps(figures) + "\n")


class _Training:
    """A network, its optimizer and the compiled step between them."""

    def __init__(self, shape: CnnShape, fit: CnnFit, begin: Path | None) -> None:
        keras.utils.set_random_seed(fit.seed)
        self.cnn = build_cnn(shape)
        if begin:
            begin_from(begin, self.cnn)
        self.fit = fit
        self.begun = [variable.numpy() for variable in self._weights()]
        self.learning = [*self.cnn.trunk.trainable_variables, *self.cnn.last.trainable_variables]
        schedule = keras.optimizers.schedules.CosineDecay(
            fit.rate * 0.05, fit.steps, warmup_target=fit.rate, warmup_steps=max(fit.steps // 20, 1), alpha=0.02
        )
        self.optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=fit.decay, use_ema=True, ema_momentum=0.995, clipnorm=2.0
        )
        self.optimizer.build(self.learning)
        self.step = _step(self.cnn, self.optimizer, self.learning, fit)
        self.spent_s = 0.0  # in runs that have ended

    def variables(self) -> list[Any]:
        """Everything that a checkpoint holds."""
        return [*self.cnn.trunk.variables, *self.cnn.last.variables, *self.optimizer.variables]

    def finish(self) -> Cnn:
        """The network with the running mean of its weights, and what it keeps of those that it began with.

        A network between the two is as good on what it learnt now, and better on what neither has seen (Wortsman et
        al., Robust fine-tuning of zero-shot models, CVPR 2022).
        """
        self.optimizer.finalize_variable_values(self.learning)
        for variable, begun in zip(self._weights(), self.begun, strict=True):
            variable.assign(variable + self.fit.kept * (begun - variable))
        return self.cnn

    def _weights(self) -> list[Any]:
        every = [*self.cnn.trunk.variables, *self.cnn.last.variables]
        return [variable for variable in every if "float" in variable.dtype]

    def watched(self, watch: Watch) -> dict[str, float]:
        """What is said of the network as `finish` would leave it now."""
        held = self._weights()
        current = [variable.numpy() for variable in held]
        figures = watch(self.finish())
        for variable, value in zip(held, current, strict=True):
            variable.assign(value)
        return figures


def fit_cnn(shape: CnnShape, fit: CnnFit, progress: Progress) -> Cnn:
    """A trained network; where `progress` has a checkpoint, from there on."""
    training = _Training(shape, fit, progress.begin)
    first = _restore(training, progress.checkpoint)
    progress.folder.mkdir(parents=True, exist_ok=True)
    with Stream(fit.stream, batch=fit.batch, positives=fit.positives, seed=fit.seed) as stream:
        if first < fit.steps:
            _follow(training, stream.batches(first), fit, progress, first)
    return training.finish()


def extractor(cnn: Cnn, *, batch: int = 64) -> Extractor:
    """What gives feature vectors (m, d) of small pictures (m, 256, 256, 2), compiled once."""
    signature = [tf.TensorSpec([None, *SMALL], tf.uint8)]
    call = tf.function(lambda x: cnn.trunk(x, training=False)[0], input_signature=signature)

    def extract(small: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = [call(tf.constant(small[start : start + batch])).numpy() for start in range(0, len(small), batch)]
        return np.concatenate(parts).astype(np.float32)

    return extract


def _step(cnn: Cnn, optimizer: Any, variables: list[Any], fit: CnnFit) -> Any:
    def step(small: Any, labels: Any, certain: Any, blood: Any, number: Any) -> Any:
        pictures = disturb(small, tf.stack([tf.constant(fit.seed, tf.int32), number]))
        with tf.GradientTape() as tape:
            vector, grid = cnn.trunk(pictures, training=True)
            loss = label_loss(cnn.last(vector), labels, certain) + fit.blood_weight * _blood_loss(grid, blood)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return tf.function(step, jit_compile=False)


def disturb(small: Any, seed: Any) -> Any:
    """Small pictures (n, 256, 256, 2) as other scanners would give them: slope, zero, sharpness, noise."""
    pictures = tf.cast(small, tf.float32)
    count = tf.shape(pictures)[0]

    def drawn(number: int, low: float, high: float) -> Any:
        return tf.random.stateless_uniform([count, 1, 1, 1], [seed[0], seed[1] * 8 + number], low, high)

    bone, soft = pictures[..., :1], pictures[..., 1:]
    blurred = tf.nn.avg_pool2d(soft, 3, 1, "SAME")
    seen = soft + drawn(1, -0.5, 0.7) * (blurred - soft)
    middle = (20 + 35) * SOFT
    seen = (seen - middle) * drawn(2, 0.85, 1.15) + middle + drawn(3, -7, 7) * SOFT
    noise = tf.random.stateless_normal(tf.shape(soft), [seed[0], seed[1] * 8]) * drawn(4, 0, 2.5) * SOFT
    seen = tf.where((soft > 0) & (soft < 255), seen + noise, soft)  # noqa: PLR2004 - outside of the window
    return tf.concat([bone, tf.clip_by_value(seen, 0, 255)], axis=-1)


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


def _follow(training: _Training, source: Iterator[Batch], fit: CnnFit, progress: Progress, first: int) -> None:
    start = saved = time.monotonic()
    losses: list[float] = []
    for number in range(first, fit.steps):
        batch = (tf.constant(array) for array in next(source))
        losses.append(float(training.step(*batch, tf.constant(number))))
        done, spent = number + 1, time.monotonic() - start
        if done % 50 == 0 or done == fit.steps:
            rate = (done - first) * fit.batch / spent
            left = spent / (done - first) * (fit.steps - done)
            mean = float(np.mean(losses))
            LOG.info("cnn: step %d of %d, loss %.3f, %.0f slices/s, %.0f s left", done, fit.steps, mean, rate, left)
            progress.write(step=done, loss=mean, slices_a_second=rate, phantom_slices=fit.stream.slices_by(done))
            losses.clear()
        if time.monotonic() - saved > progress.save_s or done == fit.steps:
            _save(training, progress.checkpoint, step=done, spent_s=training.spent_s + spent)
            saved = time.monotonic()
        if progress.watch and done % progress.watch_steps == 0:
            figures = training.watched(progress.watch)
            progress.write(step=done, phantom_slices=fit.stream.slices_by(done), **figures)


def _save(training: _Training, path: Path, *, step: int, spent_s: float) -> None:
    save(path, training.variables(), step=step, spent_s=spent_s)


def _restore(training: _Training, path: Path) -> int:
    """Take up a checkpoint where there is one; the step to go on with."""
    if not path.exists():
        return 0
    held = restore(path, training.variables())
    step, training.spent_s = int(held["step"]), held["spent_s"]
    LOG.info("cnn: going on from step %d", step)
    return step

"""Training of the CNN on shrunk pictures as they are made: six labels, and where the blood is.

All of it is Keras' own, so that it runs on any of its backends: here on TensorFlow, on a GPU's machine on JAX.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import keras
import numpy as np
from keras import ops

from training.augment.affine import Turn, turned
from training.augment.scanner import Disturb
from training.data.stream import Batch, Stream, empty_batch
from training.io.checkpoints import restore, save
from training.io.errors import TrainingError
from training.networks.cnn import SMALL, Cnn, CnnShape, build_cnn, weights
from training.options.cnn import CnnFit

LOG = logging.getLogger(__name__)
LABEL_WEIGHTS = np.array([2, 1, 1, 1, 1, 1], np.float32)
PACE = 50  # steps between two lines of the log
Watch = Callable[[Cnn], dict[str, float]]
Begin = Callable[[Cnn], Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """What one training leaves in its folder.

    `cnn.npz` to go on from, `cnn.jsonl` with the loss, and in the end `cnn-ended.npz`, the weights alone: small enough
    to be carried to another machine, where the rest of a bundle is made from it.
    """

    folder: Path
    watch: Watch | None = None  # asked for figures after every so many steps
    watch_steps: int = 1000
    save_s: float = 240.0  # between two checkpoints
    begin: Begin | None = None  # gives the network the weights that it begins with

    @property
    def checkpoint(self) -> Path:
        return self.folder / "cnn.npz"

    @property
    def ended(self) -> Path:
        return self.folder / "cnn-ended.npz"

    def minutes(self) -> float:
        """How long the training took, over all its runs."""
        with np.load(self.ended) as held:
            return float(held["spent_s"]) / 60

    def write(self, **figures: float) -> None:
        """Append one line of figures."""
        with (self.folder / "cnn.jsonl").open("a") as file:
            file.write(json.dumps(figures) + "\n")


class _Learner(keras.Model):  # type: ignore[misc] # Keras has no types
    """The trunk and its last layer behind turned and disturbed pictures, and the loss of both."""

    def __init__(self, cnn: Cnn, fit: CnnFit) -> None:
        pictures = keras.Input(SMALL, dtype="uint8")
        shown, ways = Turn(most_deg=fit.turn_deg, seed=fit.seed + 1)(pictures) if fit.turn_deg else (pictures, None)
        disturb = Disturb(noise_hu=fit.noise_hu, grain=fit.grain, slow_hu=fit.slow_hu, kernel=fit.kernel, seed=fit.seed)
        vector, grid = cnn.trunk(disturb(shown))
        super().__init__(pictures, [cnn.last(vector), grid, *([] if ways is None else [ways])], name="learner")
        self.blood_weight = fit.blood_weight

    def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG002 - Keras gives it
        """What Keras' trainer makes smaller."""
        (logits, grid, *ways), (labels, label_mask, blood) = y_pred, y
        for way in ways:
            blood = turned(ops.cast(blood, "float32"), way)
        return label_loss(logits, labels, label_mask) + self.blood_weight * _blood_loss(grid, blood)


class _Training:
    """A network, its optimizer and the step between them."""

    def __init__(self, shape: CnnShape, fit: CnnFit, begin: Begin | None) -> None:
        keras.utils.set_random_seed(fit.seed)
        self.cnn = build_cnn(shape)
        if begin:
            begin(self.cnn)
        self.fit = fit
        self.begun = [variable.numpy() for variable in weights(self.cnn)]
        self.learner = _Learner(self.cnn, fit)
        schedule = keras.optimizers.schedules.CosineDecay(
            fit.rate * 0.05, fit.steps, warmup_target=fit.rate, warmup_steps=max(fit.steps // 20, 1), alpha=0.02
        )
        self.optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=fit.decay, use_ema=True, ema_momentum=fit.ema, clipnorm=2.0
        )
        self.learner.compile(self.optimizer)
        self.optimizer.build(self.learner.trainable_variables)
        self.spent_s = 0.0  # in runs that have ended

    def variables(self) -> list[Any]:
        """Everything that a checkpoint holds."""
        return [*self.learner.variables, *self.optimizer.variables]

    def step(self, batch: Batch) -> float:
        """Learn from one batch; the mean loss since `begin_line`."""
        small, *truth = batch
        return float(self.learner.train_on_batch(small, tuple(truth)))

    def warm_up(self) -> None:
        """Have the step compiled, which takes a minute or two on a GPU, and be as before."""
        held = [variable.numpy() for variable in self.variables()]
        self.step(empty_batch(self.fit.batch))
        for variable, value in zip(self.variables(), held, strict=True):
            variable.assign(value)
        self.begin_line()

    def begin_line(self) -> None:
        """Let the mean of the loss begin anew."""
        self.learner.reset_metrics()

    def finish(self) -> Cnn:
        """The network with the running mean of its weights, and what it keeps of those that it began with.

        A network between the two is as good on what it learnt now, and better on what neither has seen (Wortsman et
        al., Robust fine-tuning of zero-shot models, CVPR 2022).
        """
        self.optimizer.finalize_variable_values(self.learner.trainable_variables)
        for variable, begun in zip(weights(self.cnn), self.begun, strict=True):
            variable.assign(variable + self.fit.kept * (begun - variable))
        return self.cnn

    def watched(self, watch: Watch) -> dict[str, float]:
        """What is said of the network as `finish` would leave it now."""
        held = weights(self.cnn)
        current = [variable.numpy() for variable in held]
        figures = watch(self.finish())
        for variable, value in zip(held, current, strict=True):
            variable.assign(value)
        return figures


def fit_cnn(shape: CnnShape, fit: CnnFit, progress: Progress) -> Cnn:
    """A trained network; where `progress` has a checkpoint, from there on, and where it has ended, that one.

    Raises
    ------
    TrainingError
        what lies in the folder was trained by another configuration
    """
    training = _Training(shape, fit, progress.begin)
    if progress.ended.exists():
        return _ended(training, progress.ended)
    first = _restore(training, progress.checkpoint)
    progress.folder.mkdir(parents=True, exist_ok=True)
    with Stream(fit.stream, batch=fit.batch, positives=fit.positives, seed=fit.seed) as stream:
        if first < fit.steps:
            source = stream.batches(first)
            training.warm_up()
            _follow(training, source, fit, progress, first)
    cnn = training.finish()
    save(progress.ended, weights(training.cnn), **_words(fit), spent_s=training.spent_s)
    return cnn


def begin_from_weights(path: Path, cnn: Cnn) -> None:
    """Give a network weights that were kept alone: `Progress.ended` of another training, or what `weights` wrote.

    Raises
    ------
    TrainingError
        they are another network's
    """
    restore(path, weights(cnn))


def label_loss(logits: Any, labels: Any, label_mask: Any) -> Any:
    """Mean binary cross-entropy where labels are certain, `any` counting twice."""
    labels, counting = ops.cast(labels, "float32"), ops.cast(label_mask, "float32") * LABEL_WEIGHTS
    losses = ops.binary_crossentropy(labels, logits, from_logits=True)
    return ops.sum(losses * counting) / (ops.sum(counting) + 1e-6)


def _blood_loss(grid: Any, blood: Any) -> Any:
    """Cross-entropy of every cell's share of blood, where blood counts three times; half a cell full counts as full."""
    target = ops.minimum(ops.cast(blood, "float32") * (2 / 255), 1.0)
    losses = ops.binary_crossentropy(target, grid, from_logits=True) + 2 * target * ops.softplus(-grid)
    return ops.mean(losses) * 10


def _follow(training: _Training, source: Iterator[Batch], fit: CnnFit, progress: Progress, first: int) -> None:
    start = saved = time.monotonic()
    before_s = training.spent_s
    for number in range(first, fit.steps):
        loss = training.step(next(source))
        done, spent = number + 1, time.monotonic() - start
        training.spent_s = before_s + spent
        if done % PACE == 0 or done == fit.steps:
            rate = (done - first) * fit.batch / spent
            left = spent / (done - first) * (fit.steps - done)
            LOG.info("cnn: step %d of %d, loss %.3f, %.0f slices/s, %.0f s left", done, fit.steps, loss, rate, left)
            progress.write(step=done, loss=loss, slices_a_second=rate, phantom_slices=fit.stream.slices_by(done))
            training.begin_line()
        if time.monotonic() - saved > progress.save_s or done == fit.steps:
            save(progress.checkpoint, training.variables(), step=done, spent_s=training.spent_s)
            saved = time.monotonic()
        if progress.watch and (done % progress.watch_steps == 0 or done == fit.steps):
            figures = training.watched(progress.watch)
            LOG.info("cnn: step %d of %d, AUC %s", done, fit.steps, json.dumps(figures))
            progress.write(step=done, phantom_slices=fit.stream.slices_by(done), **figures)


def _restore(training: _Training, path: Path) -> int:
    """Take up a checkpoint where there is one; the step to go on with."""
    if not path.exists():
        return 0
    held = restore(path, training.variables())
    step, training.spent_s = int(held["step"]), held["spent_s"]
    LOG.info("cnn: going on from step %d", step)
    return step


def _ended(training: _Training, path: Path) -> Cnn:
    held = restore(path, weights(training.cnn))
    if any(held[name] != value for name, value in _words(training.fit).items()):
        raise TrainingError(f"{path} was trained by another configuration: take another --run.")
    training.spent_s = held["spent_s"]
    LOG.info("cnn: taking the one that has ended after %d steps", training.fit.steps)
    return training.cnn


def _words(fit: CnnFit) -> dict[str, float]:
    """By what a training's end is known: its configuration, all of it."""
    return {"configuration": float(crc32(repr(fit).encode()))}

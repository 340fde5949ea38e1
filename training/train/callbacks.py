"""Callbacks of Keras' `fit`: state, log, validation with averaged weights, checkpoints."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np

from training.io.checkpoints import save
from training.io.progress import progress_bar
from training.networks.cnn import Cnn, weights

if TYPE_CHECKING:
    from training.train.cnn import CnnTrainer

LOG = logging.getLogger(__name__)
LOG_STEPS: Final = 10


@dataclass(slots=True)
class TrainingState:
    """Where a training stands; part of its checkpoint.

    best : lowest value of the monitored figure
    since : validations since then
    """

    step: int = 0
    best: float = float("inf")
    since: int = 0
    spent_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Validation:
    """Figures of a CNN during training.

    measure : returns figures by their names
    every : steps between two validations; there is one after the last step, too
    monitor : figure whose lowest value marks the best weights; None for no such choice
    patience : validations without a better figure that end the training
    """

    measure: Callable[[Cnn], dict[str, float]]
    every: int = 1000
    monitor: str | None = None
    patience: int = 0

    def is_over(self, state: TrainingState) -> bool:
        """Return whether a training has used up its patience."""
        return self.monitor is not None and state.since >= self.patience


@dataclass(frozen=True, slots=True)
class TrainingFolder:
    """What a training writes: checkpoint, best and final weights, figures for people and for TensorBoard.

    writes : whether this process does; of several processes, only the first one
    log_steps : steps between two lines of cnn.jsonl, each with the mean loss since the line before
    """

    path: Path
    save_s: float = 240.0  # between two checkpoints
    figures_of: Callable[[int], dict[str, float]] | None = None  # further figures of a step, for the log
    writes: bool = True
    log_steps: int = LOG_STEPS

    @property
    def checkpoint(self) -> Path:
        return self.path / "cnn.npz"

    @property
    def best(self) -> Path:
        return self.path / "cnn-best.npz"

    @property
    def final(self) -> Path:
        return self.path / "cnn-ended.npz"

    def minutes(self) -> float:
        """Return the duration of a finished training, all its runs together."""
        with np.load(self.final) as held:
            return float(held["spent_s"]) / 60

    def note(self, step: int, **figures: float) -> None:
        """Append figures to cnn.jsonl, and to TensorBoard's file where TensorFlow is installed."""
        if not self.writes:
            return
        with (self.path / "cnn.jsonl").open("a") as file:
            further = self.figures_of(step) if self.figures_of else {}
            file.write(json.dumps({"step": step, **further, **figures}) + "\n")
        _write_summary(self.path / "tensorboard", step, figures)


class Progress(keras.callbacks.Callback):  # type: ignore[misc] # Keras has no types
    """Counts steps and time, shows a progress bar, writes the loss and the learning rate."""

    def __init__(self, trainer: "CnnTrainer") -> None:
        super().__init__()
        self._trainer, self._size = trainer, trainer.options.batch
        self.step_s: list[float] = []

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras gives it
        trainer = self._trainer
        self._bar = progress_bar("cnn", trainer.steps * self._size, "slices", trainer.state.step * self._size)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras gives it
        self._start = time.monotonic()  # so that validations and checkpoints are not part of a step

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        trainer, spent = self._trainer, time.monotonic() - self._start
        trainer.state.step += 1
        trainer.state.spent_s += spent
        if batch:  # the first one waits for compilation
            self.step_s.append(spent)
        self._bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)
        self._bar.update(self._size)
        if trainer.state.step % trainer.folder.log_steps == 0 or trainer.state.step == trainer.steps:
            self.model.reset_metrics()
            trainer.folder.note(trainer.state.step, loss=float(logs["loss"]), rate=trainer.rate())

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras gives it
        self._bar.close()


class Validator(keras.callbacks.Callback):  # type: ignore[misc] # Keras has no types
    """Validates the averaged weights; keeps the best ones and ends a training that no longer improves."""

    def __init__(self, trainer: "CnnTrainer", validation: Validation) -> None:
        super().__init__()
        self._trainer, self._validation = trainer, validation

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras gives it
        trainer, validation = self._trainer, self._validation
        step = trainer.state.step
        if step % validation.every and step != trainer.steps:
            return
        before, model = time.monotonic(), self.model  # which writes JAX's arrays back into the variables
        with trainer.averaged():
            figures = validation.measure(trainer.cnn)
            if validation.monitor:
                self._compare(figures[validation.monitor])
        LOG.info("cnn: step %d of %d, %s", step, trainer.steps, json.dumps(figures))
        trainer.folder.note(step, **figures)
        trainer.state.spent_s += time.monotonic() - before
        if validation.is_over(trainer.state):
            LOG.info("cnn: no improvement in %d validations; ends at step %d", trainer.state.since, step)
            trainer.stopped = model.stop_training = True

    def _compare(self, figure: float) -> None:
        state = self._trainer.state
        if figure < state.best:
            state.best, state.since = figure, 0
            if self._trainer.folder.writes:
                save(self._trainer.folder.best, all_weights(self._trainer.cnn), loss=figure)
        else:
            state.since += 1


class Checkpoint(keras.callbacks.Callback):  # type: ignore[misc] # Keras has no types
    """Writes a checkpoint every `save_s` seconds, after the last step, and when the training ends early."""

    def __init__(self, trainer: "CnnTrainer") -> None:
        super().__init__()
        self._trainer, self._saved = trainer, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras gives it
        trainer = self._trainer
        due = time.monotonic() - self._saved > trainer.folder.save_s
        if trainer.folder.writes and (due or trainer.stopped or trainer.state.step == trainer.steps):
            assert self.model  # noqa: S101 - the access writes JAX's arrays back into the variables
            save(trainer.folder.checkpoint, trainer.variables(), **asdict(trainer.state))
            self._saved = time.monotonic()


def all_weights(cnn: Cnn) -> Sequence[Any]:
    """Return the variables of trunk and last layer, the seeds of dropout included."""
    return [*cnn.trunk.variables, *cnn.last.variables]


def copy_weights(cnn: Cnn) -> list[Any]:
    """Return copies of a network's weights."""
    return [np.asarray(variable) for variable in weights(cnn)]


def _write_summary(folder: Path, step: int, figures: dict[str, float]) -> None:
    """As `tf.summary.scalar`, which needs the package tensorboard."""
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf  # noqa: PLC0415 - a GPU's machine may have JAX only
    from tensorflow.core.framework.summary_pb2 import SummaryMetadata  # noqa: PLC0415

    scalar = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    writer = _summary_writer(folder)
    with writer.as_default():
        for name, value in figures.items():
            tf.summary.write(name, tf.constant(value, tf.float32), step=step, metadata=scalar)
    writer.flush()


@cache
def _summary_writer(folder: Path) -> Any:
    import tensorflow as tf  # noqa: PLC0415 - a GPU's machine may have JAX only

    return tf.summary.create_file_writer(str(folder))

"""The CNN trainer: Keras' `fit` on phantoms streamed from seeds or on the slices of shards, on TensorFlow or JAX.

A training that was interrupted resumes at its last checkpoint with the same batches, optimizer and moving average.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from typing import Any
from zlib import crc32

import keras
import numpy as np

from training.io.checkpoints import assign, read, restore, save
from training.io.errors import TrainingError
from training.networks.cnn import Cnn, weights
from training.options.cnn import CnnOptions
from training.train.callbacks import (
    Checkpoint,
    Progress,
    TrainingFolder,
    TrainingState,
    Validation,
    Validator,
    copy_weights,
)
from training.train.model import TrainingModel, build_optimizer
from training.train.processes import ALONE, Processes

LOG = logging.getLogger(__name__)
Batches = Callable[[int], keras.utils.PyDataset]  # those from a step on


class CnnTrainer:
    """A CNN with its optimizer, state and folder. Build it in the scope of `devices()`, together with the CNN.

    Parameters
    ----------
    steps : of the whole training
    """

    def __init__(self, cnn: Cnn, options: CnnOptions, steps: int, folder: TrainingFolder) -> None:
        self.cnn, self.options, self.steps, self.folder = cnn, options, steps, folder
        self._initial = copy_weights(cnn)
        self.model = TrainingModel(cnn, options)
        self._optimizer = build_optimizer(options, steps)
        xla = "auto" if options.xla or keras.backend.backend() != "tensorflow" else False
        self.model.compile(self._optimizer, jit_compile=xla)
        self._optimizer.build(self.model.trainable_variables)
        self.state = TrainingState()
        self.stopped = False

    def resume(self, processes: Processes = ALONE) -> bool:
        """Restore the checkpoint; return whether there is one.

        Several processes take the variables and the state of the first one, also without a checkpoint.

        Raises
        ------
        TrainingError
            the checkpoint is damaged, or of another network
        """
        variables, values = self.variables(), None
        if self.folder.writes and self.folder.checkpoint.exists():
            values, numbers = read(self.folder.checkpoint, variables)
            whole = {"step": int(numbers["step"]), "since": int(numbers["since"])}
            self.state = TrainingState(best=numbers["best"], spent_s=numbers["spent_s"], **whole)
        if processes.are_several:
            values, state = processes.from_first(values or list(map(np.asarray, variables)), astuple(self.state))
            self.state = TrainingState(int(state[0]), state[1], int(state[2]), state[3])
        if values:
            assign(variables, values, str(self.folder.checkpoint))
        if self.state.step:
            LOG.info("cnn: resumes at step %d of %d", self.state.step, self.steps)
        return self.state.step > 0

    def fit(self, batches: Batches, validation: Validation | None = None) -> float:
        """Train to the last step, or to the end of the validation's patience.

        Returns
        -------
        median duration of a step in seconds; 0 before the second step
        """
        if self.folder.writes:
            self.folder.path.mkdir(parents=True, exist_ok=True)
        if self.state.step >= self.steps or (validation and validation.is_over(self.state)):
            return 0.0
        progress = Progress(self)
        callbacks = [progress, *([Validator(self, validation)] if validation else []), Checkpoint(self)]
        self.model.fit(batches(self.state.step), shuffle=False, verbose=0, callbacks=callbacks)
        return float(np.median(progress.step_s)) if progress.step_s else 0.0

    def variables(self) -> list[Any]:
        """Return the variables of a checkpoint."""
        return [*self.model.variables, *self._optimizer.variables]

    def rate(self) -> float:
        """Return the current learning rate."""
        return float(self._optimizer.learning_rate)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the network its final weights for a while."""
        current = copy_weights(self.cnn)
        self.finish()
        yield
        for variable, value in zip(weights(self.cnn), current, strict=True):
            variable.assign(value)

    def finish(self) -> None:
        """Set the moving average of the weights, interpolated with the initial weights."""
        if self.options.ema is not None:
            self._optimizer.finalize_variable_values(self.model.trainable_variables)
            self._copy_average()
        if not self.options.initial_weight:
            return
        for variable, initial in zip(weights(self.cnn), self._initial, strict=True):
            variable.assign(variable + self.options.initial_weight * (initial - variable))

    def _copy_average(self) -> None:
        """On JAX, give the network arrays of its own: a prediction deletes them, and they are the average's."""
        if keras.backend.backend() == "jax":
            for variable in self.model.trainable_variables:
                variable.assign(keras.ops.copy(variable))


@contextmanager
def devices() -> Iterator[None]:
    """Train on all GPUs where there are several: a copy of the network on each, which sees its share of each batch.

    On JAX these are the GPUs of all processes; each process gives its own share of a batch.
    """
    if keras.backend.backend() == "jax":
        if len(keras.distribution.list_devices()) > 1:
            keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
        yield
        return
    import tensorflow as tf  # noqa: PLC0415 - a GPU's machine may have JAX only

    several = len(tf.config.list_logical_devices("GPU")) > 1 and not tf.distribute.has_strategy()
    with tf.distribute.MirroredStrategy().scope() if several else tf.distribute.get_strategy().scope():
        yield


def restore_final(cnn: Cnn, folder: TrainingFolder, options: CnnOptions) -> bool:
    """Give a network the weights of a finished training; return whether the folder has one.

    Raises
    ------
    TrainingError
        the training had other options
    """
    if not folder.final.exists():
        return False
    numbers = restore(folder.final, weights(cnn))
    if numbers["configuration"] != _fingerprint(options):
        raise TrainingError(f"{folder.final} was trained by another configuration: choose another --run.")
    LOG.info("cnn: uses the finished training in %s", folder.path)
    return True


def save_final(trainer: CnnTrainer) -> None:
    """Write the final weights, small enough to be carried to another machine."""
    trainer.finish()
    numbers = {"configuration": _fingerprint(trainer.options), "spent_s": trainer.state.spent_s}
    save(trainer.folder.final, weights(trainer.cnn), **numbers)


def _fingerprint(options: CnnOptions) -> float:
    return float(crc32(repr(options).encode()))

"""Training of the CNN on the slices of shards, with validation by the competition's log loss."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from services.common.labels import LABELS
from training.data.batches import BatchSampler, Source
from training.evaluate.metrics import ScoredLabels, competition_loss
from training.networks.classifier import ClassifierShape, build_classifier, enter, predict_logits
from training.networks.cnn import Cnn
from training.options.cnn import CnnOptions
from training.train.batches import ShardBatches
from training.train.callbacks import TrainingFolder, TrainingState, Validation
from training.train.cnn import CnnTrainer, devices
from training.train.initial_weights import initialise
from training.train.processes import ALONE, Processes

LOG_LOSS: Final = "validation_log_loss"


def fit_shard_cnn(
    shape: ClassifierShape,
    options: CnnOptions,
    sampler: BatchSampler,
    validation_entries: Sequence[Any],
    files: TrainingFolder,
    processes: Processes = ALONE,
) -> tuple[TrainingState, float]:
    """Train a CNN, or resume its training; the best weights are in cnn-best.npz.

    Parameters
    ----------
    processes : those that train together; process 1 writes the folder

    Returns
    -------
    the final state, and the median duration of a step in seconds
    """
    steps = options.steps or max(round(sampler.steps_an_epoch * options.epochs), 1)
    keras.utils.set_random_seed(options.seed)
    with devices():
        cnn = build_classifier(shape, options.precision)
        initialise(cnn, shape, options.init)
        trainer = CnnTrainer(cnn, options, steps, replace(files, writes=processes.leads))
        if not trainer.resume(processes):
            set_base_rates(cnn, sampler.base_rates())
    every = max(sampler.steps_an_epoch // options.validations_an_epoch, 1)
    validation = log_loss_validation(sampler.source, validation_entries, every, options.patience, processes)
    rows = processes.rows(options.batch)
    step_s = trainer.fit(lambda first: ShardBatches(sampler, first, steps, options.readers, rows), validation)
    return trainer.state, step_s


def set_base_rates(cnn: Cnn, base_rates: NDArray[np.float64]) -> None:
    """Set the bias of an untrained network to the logits of the base rates, (6,)."""
    cnn.last.bias.assign(np.log(base_rates / (1 - base_rates)))


def log_loss_validation(
    source: Source, entries: Sequence[Any], every: int, patience: int, processes: Processes = ALONE
) -> Validation:
    """Return a validation by the competition's metric on whole series, which the processes share."""
    labels, mask = (np.concatenate([getattr(entry, name) for entry in entries]) for name in ("labels", "label_mask"))
    starts = np.concatenate([[0], np.cumsum([len(entry.labels) for entry in entries])])
    study = np.repeat(np.arange(len(entries)), np.diff(starts))

    def measure(cnn: Cnn) -> dict[str, float]:
        predict = predictor(cnn, processes)
        logits = np.zeros((len(labels), len(LABELS)), np.float32)
        for number in processes.share(range(len(entries))):
            logits[starts[number] : starts[number + 1]] = predict(source.slices(entries[number]))
        logits = processes.gather(logits).sum(axis=0)  # each row is that of one process
        return {LOG_LOSS: competition_loss(ScoredLabels(expit(logits), labels, mask, study))}

    return Validation(measure, every, LOG_LOSS, patience)


def predictor(cnn: Cnn, processes: Processes) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Return the function from slices (n, 512, 512, 3) to logits (n, 6), on this process's devices alone."""
    if not processes.are_several:
        return partial(predict_logits, cnn)
    import jax  # noqa: PLC0415 - one process needs no JAX

    trunk, kernel, bias = cnn.trunk, np.asarray(cnn.last.kernel), np.asarray(cnn.last.bias)
    own = [[np.asarray(one) for one in some] for some in (trunk.trainable_variables, trunk.non_trainable_variables)]
    forward = jax.jit(lambda *given: keras.tree.flatten(trunk.stateless_call(*given, training=False)[0])[0])

    def predict(slices: NDArray[np.uint8]) -> NDArray[np.float32]:
        vector = forward(*own, np.asarray(enter(cnn, slices.astype(np.float32))))
        return np.asarray(np.asarray(vector) @ kernel + bias, np.float32)

    return predict

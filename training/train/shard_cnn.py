"""Training of the CNN on the slices of shards, with validation by the competition's log loss."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from training.data.batches import BatchSampler, Source
from training.evaluate.metrics import ScoredLabels, competition_loss
from training.networks.classifier import ClassifierShape, build_classifier, predict_logits
from training.networks.cnn import Cnn
from training.options.cnn import CnnOptions
from training.train.batches import ShardBatches
from training.train.callbacks import TrainingFolder, TrainingState, Validation
from training.train.cnn import CnnTrainer, devices
from training.train.initial_weights import initialise

LOG_LOSS: Final = "validation_log_loss"


def fit_shard_cnn(
    shape: ClassifierShape,
    options: CnnOptions,
    sampler: BatchSampler,
    validation_entries: Sequence[Any],
    folder: Path,
    *,
    save_s: float = 600.0,
) -> tuple[TrainingState, float]:
    """Train a CNN, or resume its training; the best weights are in cnn-best.npz.

    Returns
    -------
    the final state, and the median duration of a step in seconds
    """
    steps = options.steps or max(round(sampler.steps_an_epoch * options.epochs), 1)
    keras.utils.set_random_seed(options.seed)
    with devices():
        cnn = build_classifier(shape, options.precision)
        initialise(cnn, shape, options.init)
        trainer = CnnTrainer(cnn, options, steps, TrainingFolder(folder, save_s=save_s))
        if not trainer.resume():
            set_base_rates(cnn, sampler.base_rates())
    every = max(sampler.steps_an_epoch // options.validations_an_epoch, 1)
    validation = log_loss_validation(sampler.source, validation_entries, every, options.patience)
    step_s = trainer.fit(lambda first: ShardBatches(sampler, first, steps, options.readers), validation)
    return trainer.state, step_s


def set_base_rates(cnn: Cnn, base_rates: NDArray[np.float64]) -> None:
    """Set the bias of an untrained network to the logits of the base rates, (6,)."""
    cnn.last.bias.assign(np.log(base_rates / (1 - base_rates)))


def log_loss_validation(source: Source, entries: Sequence[Any], every: int, patience: int) -> Validation:
    """Return a validation by the competition's metric on whole series."""

    def measure(cnn: Cnn) -> dict[str, float]:
        logits = np.concatenate([predict_logits(cnn, source.slices(entry)) for entry in entries])
        labels, mask = (
            np.concatenate([getattr(entry, name) for entry in entries]) for name in ("labels", "label_mask")
        )
        study = np.repeat(np.arange(len(entries)), [len(entry.labels) for entry in entries])
        return {LOG_LOSS: competition_loss(ScoredLabels(expit(logits), labels, mask, study))}

    return Validation(measure, every, LOG_LOSS, patience)

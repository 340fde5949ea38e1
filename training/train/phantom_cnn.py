"""Training of the CNN on a stream of phantoms. Needs no TensorFlow: a GPU's machine may have JAX only."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import keras

from services.common.labels import LABELS
from training.configs.config import Config, studies
from training.data.pictures import make_pictures
from training.data.stream import Stream
from training.evaluate.metrics import auc
from training.networks.cnn import Cnn, CnnShape, build_cnn
from training.networks.extractor import extractor
from training.options.cnn import CnnOptions
from training.train.batches import StreamBatches
from training.train.callbacks import TrainingFolder, Validation
from training.train.cnn import CnnTrainer, devices, restore_final, save_final

Initialise = Callable[[Cnn], object]
_SLICES: Final = 10  # of each validation study
_BATCH: Final = 96  # divides the number of validation slices, so that one shape is compiled


def fit_phantom_cnn(
    shape: CnnShape,
    options: CnnOptions,
    folder: Path,
    *,
    validation: Validation | None = None,
    initialise: Initialise | None = None,
    save_s: float = 240.0,
) -> tuple[Cnn, TrainingFolder]:
    """Train a CNN on `options.stream`, resume its training, or return the finished one of the folder.

    Parameters
    ----------
    initialise : sets the initial weights
    save_s : seconds between two checkpoints

    Raises
    ------
    TrainingError
        the folder has the training of another configuration
    """
    stream, steps = options.stream, options.steps
    if stream is None or steps is None:
        raise ValueError("options have no stream of phantoms or no steps")
    keras.utils.set_random_seed(options.seed)
    files = TrainingFolder(folder, save_s, figures_of=lambda step: {"phantom_slices": stream.slices_by(step)})
    with devices():
        cnn = build_cnn(shape)
        if restore_final(cnn, files, options):
            return cnn, files
        if initialise:
            initialise(cnn)
        trainer = CnnTrainer(cnn, options, steps, files)
    trainer.resume()
    with Stream(stream, batch=options.batch, positives=options.positives or 0.5, seed=options.seed) as made:
        trainer.fit(lambda first: StreamBatches(made, first, steps), validation)
    save_final(trainer)
    return cnn, files


def fit_config_cnn(config: Config, run: Path, initialise: Initialise | None = None) -> tuple[Cnn, TrainingFolder]:
    """Train the CNN of a configuration of phantoms with validation on phantoms of their own."""
    if config.phantoms is None or not isinstance(config.cnn_shape, CnnShape):
        raise ValueError("the configuration has no phantoms")
    validation = auc_validation(config.phantoms.validation)
    return fit_phantom_cnn(config.cnn_shape, config.cnn, run, validation=validation, initialise=initialise)


def auc_validation(count: int) -> Validation:
    """Make slices of `count` studies, and return a validation by the AUC of each label on them."""
    made = make_pictures(studies("validation", count, slices=_SLICES), name="phantoms for validation")

    def measure(cnn: Cnn) -> dict[str, float]:
        logits = extractor(cnn, batch=_BATCH)(made.small) @ cnn.last.kernel.numpy() + cnn.last.bias.numpy()
        mask = made.label_mask
        return {
            label: round(auc(logits[mask[:, column], column], made.labels[mask[:, column], column]), 4)
            for column, label in enumerate(LABELS)
        }

    return Validation(measure)

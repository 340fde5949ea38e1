"""The configuration of a bundle, and configurations by their names. Nothing here needs TensorFlow."""

import runpy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from training.data.scanner_augment import NO_AUGMENT, ScannerAugment
from training.io.errors import TrainingError
from training.networks.classifier import ClassifierShape
from training.networks.cnn import CnnShape
from training.networks.rnn import RnnShape
from training.networks.source_rnn import SourceShape
from training.options.cnn import CnnOptions
from training.options.rnn import RnnOptions
from training.phantom.study_options import RANDOM_STUDY, StudyOptions, StudyRequest

FOLDER: Final = Path(__file__).parent
NAMES: Final = ("rsna", "source", "smoke")


@dataclass(frozen=True, slots=True)
class CardText:
    """The texts of a bundle's card."""

    name: str
    description: str
    licence: str
    data_terms: str
    limits_of_use: tuple[str, ...]
    command: str


@dataclass(frozen=True, slots=True)
class PhantomData:
    """The phantoms of a bundle, beside the CNN's stream. Seeds of different parts never meet.

    rnn, calibration, validation : numbers of studies
    options : of the RNN's studies; those of the CNN's stream where None
    scanner_augment : scanners of the RNN's studies
    """

    rnn: int
    calibration: int
    validation: int = 48
    options: StudyOptions | None = None
    scanner_augment: ScannerAugment = NO_AUGMENT


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a bundle is made from.

    phantoms : None for shards of an archive
    soup_weight : share of a second bundle's weights in the CNN, where one is given
    validation_fold : fold that selects weights and calibrates; fold 0 is held out
    """

    card: CardText
    cnn_shape: CnnShape | ClassifierShape
    cnn: CnnOptions
    rnn_shape: RnnShape | SourceShape
    rnn: RnnOptions
    phantoms: PhantomData | None = None
    soup_weight: float = 0.0
    validation_fold: int = 1

    def scaled(self, share: float) -> "Config":
        """Return a configuration with a share of phantoms and steps; calibration and test stay as large."""
        if self.phantoms is None or self.cnn.steps is None:
            raise ValueError("only a configuration of phantoms can be scaled")
        return replace(
            self,
            phantoms=replace(self.phantoms, rnn=_part(self.phantoms.rnn, share)),
            cnn=replace(self.cnn, steps=_part(self.cnn.steps, share)),
            rnn=replace(self.rnn, steps=_part(self.rnn.steps, share)),
        )


# The first seed of each part's phantoms. Those to measure on begin at 3 million, samples and tests at 8 and 9.
SEEDS: Final = {"cnn": 0, "rnn": 1_000_000, "calibration": 2_000_000, "validation": 2_500_000}


def studies(
    part: str, count: int, slices: int | None = None, options: StudyOptions = RANDOM_STUDY
) -> list[StudyRequest]:
    """Return the first studies of a part; `slices` random ones of each, or all where None."""
    return [StudyRequest(SEEDS[part] + number, slices, options) for number in range(count)]


def load_config(name: str) -> Config:
    """Return CONFIG of a Python file, or of the configuration with this name.

    Raises
    ------
    TrainingError
        there is none, or it is not for shards
    """
    path = Path(name) if name.endswith(".py") else FOLDER / f"{name}.py"
    if name not in NAMES and not (name.endswith(".py") and path.is_file()):
        raise TrainingError(f"There is no configuration {name}: use {', '.join(NAMES)} or a Python file.")
    config = runpy.run_path(str(path)).get("CONFIG")
    if not isinstance(config, Config) or not isinstance(config.cnn_shape, ClassifierShape):
        raise TrainingError(f"{name} has no CONFIG for training from shards.")
    return config


def _part(count: int, share: float) -> int:
    return max(round(count * share), 4)

"""Everything that a bundle of phantoms is made from. Nothing here needs TensorFlow: a GPU's machine may have none."""

from dataclasses import dataclass, replace
from typing import Final

from training.data.scanner_augment import NO_AUGMENT, ScannerAugment
from training.networks.cnn import CnnShape
from training.networks.rnn import RnnShape
from training.options.cnn import CnnFit
from training.options.rnn import RnnFit
from training.phantom.study_options import RANDOM_STUDY, StudyOptions, StudyRequest


@dataclass(frozen=True, slots=True)
class Words:
    """What the card says in words."""

    name: str
    description: str
    licence: str
    data_terms: str
    limits_of_use: tuple[str, ...]
    command: str


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many whole studies the RNN and what follows are made from; the CNN's come by its stream.

    Seeds of different parts never meet. `watch` studies say how the CNN comes on, and change nothing.
    """

    rnn: int
    calibration: int
    watch: int = 48


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a bundle is made from."""

    words: Words
    amounts: Amounts
    cnn_shape: CnnShape
    cnn_fit: CnnFit
    rnn_shape: RnnShape
    rnn_fit: RnnFit
    rnn_options: StudyOptions | None = None  # of the RNN's studies; the CNN's where None
    scanner_augment: ScannerAugment = NO_AUGMENT  # that show the RNN its studies
    soup_weight: float = (
        0.0  # share of another bundle's weights in the CNN's, where one is given (`train.interpolation`)
    )

    def scaled(self, share: float) -> "Config":
        """The same with that share of the phantoms and of the steps; calibration and test stay as large."""
        amounts = replace(self.amounts, rnn=_part(self.amounts.rnn, share))
        cnn_fit = replace(self.cnn_fit, steps=_part(self.cnn_fit.steps, share))
        rnn_fit = replace(self.rnn_fit, steps=_part(self.rnn_fit.steps, share))
        return replace(self, amounts=amounts, cnn_fit=cnn_fit, rnn_fit=rnn_fit)


# The first seed of each part's phantoms. Those to measure on begin at 3 million, samples and tests at 8 and 9.
SEEDS: Final = {"cnn": 0, "rnn": 1_000_000, "calibration": 2_000_000, "watch": 2_500_000}


def studies(
    part: str, count: int, slices: int | None = None, options: StudyOptions = RANDOM_STUDY
) -> list[StudyRequest]:
    """The first studies of a part; `slices` of each at random, or all where None."""
    return [StudyRequest(SEEDS[part] + number, slices, options) for number in range(count)]


def _part(count: int, share: float) -> int:
    return max(round(count * share), 4)

"""The context of a run's steps: configuration, shards, folder, and the output of earlier steps."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from services.common.card import Card
from services.common.operating_points import OperatingPoint, Thresholds
from training.bundle.build_card import build_card
from training.configs.config import Config
from training.data.features import Features, open_features
from training.data.spacing import learnt_spacing_mm
from training.data.splits import Parts, split
from training.evaluate.rnn_calibration import set_temperatures
from training.networks.classifier import ClassifierShape
from training.options.cnn import CnnOptions
from training.options.rnn import RnnOptions
from training.rsna.shards import Shards, open_shards
from training.runs.run import Run
from training.runs.trained import Trained, classifier_shape, trained


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of the command line that overrule the configuration.

    steps : batches of the CNN and of each RNN
    limit : largest number of series in each part
    save_s : seconds between two checkpoints of the CNN
    """

    steps: int | None = None
    limit: int | None = None
    save_s: float = 600.0


@dataclass(frozen=True)
class RunContext:
    """One run: its configuration, the folder of the shards, its own folder, its options."""

    config: Config
    shards: Path
    run: Run
    options: RunOptions

    @cached_property
    def source(self) -> Shards:
        """The opened shards."""
        return open_shards(self.shards)

    @cached_property
    def parts(self) -> Parts:
        """The series of each part, by their index in the shards."""
        return split(self.source.entries, self.config.validation_fold, self.options.limit)

    @cached_property
    def entries(self) -> list[Any]:
        """The series of all parts, in the order of the features on disk."""
        return self.entries_of(self.parts.every)

    @cached_property
    def indices(self) -> Parts:
        """The series of each part, by their index in `entries`."""
        index = {number: at for at, number in enumerate(self.parts.every)}
        parts = (self.parts.train, self.parts.validation, self.parts.held_out, self.parts.test)
        return Parts(*(tuple(index[number] for number in part) for part in parts))

    @property
    def shape(self) -> ClassifierShape:
        """Shape of the CNN."""
        return classifier_shape(self.config)

    @property
    def cnn_options(self) -> CnnOptions:
        """Options of the CNN's training, with the command line's number of steps."""
        return replace(self.config.cnn, steps=self.options.steps) if self.options.steps else self.config.cnn

    @property
    def rnn_options(self) -> RnnOptions:
        """Options of the RNN's training, with the command line's number of steps."""
        return replace(self.config.rnn, steps=self.options.steps) if self.options.steps else self.config.rnn

    def entries_of(self, numbers: Sequence[int]) -> list[Any]:
        """Return series by their index in the shards."""
        return [self.source.entries[number] for number in numbers]

    def data_digest(self) -> str:
        """Return a digest of the series, as an input of a step."""
        return f"{self.source.digest} {self.options.limit}"

    def features_inputs(self) -> dict[str, str]:
        """Return the inputs of the step `features`; raises a TrainingError before the CNN is trained."""
        return {"cnn": self.run.digest("cnn"), "data": self.data_digest()}

    def load_features(self) -> Features:
        """Open the features on disk."""
        self.run.digest("features")
        return open_features(self.run.path("features.npy"), self.entries)

    def load_networks(self) -> Trained:
        """Load the trained CNN and RNN; temperatures are 1."""
        return trained(self.run, self.config, self.load_features(), self.indices)

    def load_calibrated(self) -> Trained:
        """Load the trained CNN and RNN with their temperatures."""
        networks = self.load_networks()
        set_temperatures(networks.rnn, self.load_calibration()["temperatures"])
        return networks

    def load_calibration(self) -> dict[str, Any]:
        """Read temperatures and thresholds."""
        self.run.digest("calibrate")
        return dict(json.loads(self.run.path("calibration.json").read_text()))

    def operating_points(self) -> dict[OperatingPoint, Thresholds]:
        """Read the operating points."""
        return {name: Thresholds(**point) for name, point in self.load_calibration()["thresholds"].items()}

    def build_card(self, networks: Trained, metrics: dict[str, Any], files: dict[str, str]) -> Card:
        """Return the card of the bundle."""
        return build_card(
            self.config.card,
            feature_size=int(networks.cnn.last.kernel.shape[0]),
            blood_grid=None,
            spacing_mm=learnt_spacing_mm(entry.position_mm for entry in self.entries_of(self.parts.train)),
            files=files,
            metrics=metrics,
            temperatures=self.load_calibration()["temperatures"],
            thresholds=self.operating_points(),
            training=self.training_summary(),
        )

    def training_summary(self) -> dict[str, Any]:
        """Return the card's field `training`."""
        config, parts = self.config, self.parts
        return {
            "data": config.card.data_terms,
            "command": config.card.command,
            "backbone": self.shape.backbone,
            "series": {name: len(getattr(parts, name)) for name in ("train", "validation", "held_out")},
            "slices": sum(len(entry.files) for entry in self.entries_of(parts.train)),
            "seed": config.cnn.seed,
            "cnn": asdict(self.shape) | asdict(config.cnn),
            "rnn": {"shape": type(config.rnn_shape).__name__, **asdict(config.rnn_shape), **asdict(self.rnn_options)},
            "hours": round(self.run.figures("cnn")["hours"], 3),
            "inputs": self.run.inputs(),
        }

"""What the steps of a run stand on: the plan, the shards, and what earlier steps left."""

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.common.card import Card
from services.common.operating_points import OperatingPoint, Thresholds
from training.bundle.build_card import build_card
from training.configs.plan import Plan
from training.data.features import Features, open_features
from training.data.spacing import learnt_spacing_mm
from training.data.splits import Parts, split
from training.evaluate.rnn_calibration import set_temperatures
from training.rsna.shards import Shards, open_shards
from training.runs.run import Run
from training.runs.trained import Trained, trained

EVERY: Final = 600  # seconds between two checkpoints of the CNN on a large machine


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line adds to a configuration.

    steps : of the CNN and of the RNN, instead of the plan's
    limit : series of each part at most
    save_s : seconds between two checkpoints
    """

    steps: int | None = None
    limit: int | None = None
    save_s: float = EVERY


@dataclass(frozen=True)
class Ground:
    """One run: a plan, shards, a folder, and what its finished steps left."""

    plan: Plan
    shards: Path
    run: Run
    options: Options

    @cached_property
    def source(self) -> Shards:
        """The shards."""
        return open_shards(self.shards)

    @cached_property
    def parts(self) -> Parts:
        """Which series learn, choose and measure."""
        return split(self.source.entries, self.plan.validation_fold, self.options.limit)

    @cached_property
    def entries(self) -> tuple[Any, ...]:
        """All series of the parts; features are those of these."""
        return tuple(self.source.entries[number] for number in self.parts.every)

    @cached_property
    def places(self) -> Parts:
        """The parts by their place among `entries`."""
        place = {number: at for at, number in enumerate(self.parts.every)}
        every = (self.parts.train, self.parts.validation, self.parts.held_out, self.parts.test)
        return Parts(*(tuple(place[number] for number in part) for part in every))

    @cached_property
    def rnn_fit(self) -> Any:
        """How the RNN learns."""
        return replace(self.plan.rnn_fit, steps=self.options.steps) if self.options.steps else self.plan.rnn_fit

    def of(self, numbers: tuple[int, ...]) -> list[Any]:
        """Entries by their number."""
        return [self.source.entries[number] for number in numbers]

    def data(self) -> str:
        """What series are at hand, as a step's input."""
        return f"{self.source.digest} {self.options.limit}"

    def features_made(self) -> Features:
        """The features on disk."""
        self.run.made("features")
        return open_features(self.run.path("features.npy"), self.entries)

    def trained_networks(self) -> Trained:
        """Both networks, temperatures at 1."""
        return trained(self.run, self.plan, self.features_made(), self.places)

    def calibrated(self) -> Trained:
        """Both networks as they are served."""
        networks = self.trained_networks()
        set_temperatures(networks.rnn, self.calibration()["temperatures"])
        return networks

    def calibration(self) -> dict[str, Any]:
        """What the step of that name found."""
        self.run.made("calibrate")
        return dict(json.loads(self.run.path("calibration.json").read_text()))

    def points(self) -> dict[OperatingPoint, Thresholds]:
        """The operating points."""
        return {name: Thresholds(**point) for name, point in self.calibration()["thresholds"].items()}

    def card(self, networks: Trained, metrics: dict[str, Any], files: dict[str, str]) -> Card:
        """The bundle's card."""
        return build_card(
            self.plan.words,
            feature_size=int(networks.cnn.last.kernel.shape[0]),
            blood_grid=None,
            spacing_mm=learnt_spacing_mm(self.source.entries[number].position_mm for number in self.parts.train),
            files=files,
            metrics=metrics,
            temperatures=self.calibration()["temperatures"],
            thresholds=self.points(),
            training=self.told(),
        )

    def told(self) -> dict[str, Any]:
        """What the card says of the training."""
        plan = self.plan
        counts = {name: len(getattr(self.parts, name)) for name in ("train", "validation", "held_out")}
        return {
            "data": plan.words.data_terms,
            "command": plan.words.command,
            "backbone": plan.cnn.backbone,
            "series": counts,
            "slices": int(np.sum([len(self.source.entries[number].files) for number in self.parts.train])),
            "seed": plan.cnn.seed,
            "cnn": asdict(plan.cnn),
            "rnn": {"shape": type(plan.rnn_shape).__name__, **asdict(plan.rnn_shape), **asdict(self.rnn_fit)},
            "hours": round(self.run.figures("cnn")["hours"], 3),
            "inputs": self.run.inputs(),
        }

"""From a configuration to a bundle: make phantoms, train, calibrate, measure, export."""

import logging
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from services.common.card import Card, OperatingPoint, Thresholds
from services.common.labels import LABELS
from services.common.recipe import DEFAULT_RECIPE
from training.answers import answer, levels, report
from training.calibrate import operating_points, temperatures
from training.cnn import Cnn, CnnShape
from training.export import save_networks, seal
from training.fit_cnn import CnnFit, features, fit_cnn
from training.fit_rnn import RnnFit, Series, as_series, fit_rnn
from training.pictures import Pictures, Wanted, make
from training.rnn import Rnn, RnnShape

LOG = logging.getLogger(__name__)


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
    """How many phantom studies each part is made from; seeds of different parts never meet."""

    cnn: int
    cnn_slices: int  # of each study
    rnn: int
    calibration: int
    test: int


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a bundle is made from."""

    words: Words
    amounts: Amounts
    cnn_shape: CnnShape
    cnn_fit: CnnFit
    rnn_shape: RnnShape
    rnn_fit: RnnFit

    def scaled(self, share: float) -> "Config":
        """The same with that share of the phantoms and of the steps; calibration and test stay as large."""
        amounts = replace(self.amounts, cnn=_part(self.amounts.cnn, share), rnn=_part(self.amounts.rnn, share))
        cnn_fit = replace(self.cnn_fit, steps=_part(self.cnn_fit.steps, share))
        rnn_fit = replace(self.rnn_fit, steps=_part(self.rnn_fit.steps, share))
        return replace(self, amounts=amounts, cnn_fit=cnn_fit, rnn_fit=rnn_fit)


# The first seed of each part's phantoms. Samples and tests begin at 8 and 9 million.
SEEDS = {"cnn": 0, "rnn": 1_000_000, "calibration": 2_000_000, "test": 3_000_000}


def build(config: Config, folder: Path) -> Card:
    """Train a bundle from phantoms and write it to `folder`."""
    start = time.monotonic()
    made = _phantoms(config.amounts)
    cnn = fit_cnn(config.cnn_shape, config.cnn_fit, made["cnn"])
    rnn = fit_rnn(config.rnn_shape, config.rnn_fit, cnn.last, _series(cnn, made["rnn"]))
    points, found = _calibrate(rnn, _series(cnn, made["calibration"]))
    metrics = report(rnn, _series(cnn, made["test"]), made["test"], points)
    files = save_networks(folder, cnn, rnn)
    card = _card(
        config,
        feature_size=int(cnn.last.kernel.shape[0]),
        files=files,
        metrics=metrics,
        temperatures=found,
        thresholds=points,
        training=_training(config, made, minutes=(time.monotonic() - start) / 60),
    )
    seal(folder, card, cnn, rnn)
    return card


def _calibrate(rnn: Rnn, studies: list[Series]) -> tuple[dict[OperatingPoint, Thresholds], dict[str, float]]:
    """Set the graph's temperatures, then find the operating points: both from the same studies."""
    call = tf.function(lambda *inputs: rnn.logits(list(inputs), training=False), reduce_retracing=True)
    logits = [call(tf.constant(study.features[None]), tf.constant(study.position_mm[None])) for study in studies]
    pairs = [(slices[0].numpy(), series[0].numpy()) for slices, series in logits]
    slices, series = levels(studies, pairs)
    found = temperatures(*slices), temperatures(*series)
    rnn.temperatures.slice.assign(found[0])
    rnn.temperatures.series.assign(found[1])
    names = ("slice_any", "slice_subtypes", "series_any", "series_subtypes")
    values = (found[0][0], found[0][1], found[1][0], found[1][1])
    points = operating_points(*levels(studies, answer(rnn, studies)))
    return points, {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}


def _phantoms(amounts: Amounts) -> dict[str, Pictures]:
    counts = {"cnn": amounts.cnn, "rnn": amounts.rnn, "calibration": amounts.calibration, "test": amounts.test}
    made = {}
    for name, count in counts.items():
        slices = amounts.cnn_slices if name == "cnn" else None
        made[name] = make(
            [Wanted(SEEDS[name] + number, slices) for number in range(count)], name=f"phantoms for {name}"
        )
    return made


def _series(cnn: Cnn, pictures: Pictures) -> list[Series]:
    return as_series(pictures, features(cnn, pictures.small))


def _training(config: Config, made: dict[str, Pictures], *, minutes: float) -> dict[str, Any]:
    return {
        "data": "synthetic phantoms only; no patient's picture was used",
        "command": config.words.command,
        "seeds": SEEDS,
        "studies": asdict(config.amounts),
        "slices": {name: len(pictures) for name, pictures in made.items()},
        "cnn": asdict(config.cnn_fit),
        "rnn": asdict(config.rnn_fit),
        "minutes": round(minutes, 1),
    }


def _card(config: Config, **parts: Any) -> Card:
    words = config.words
    return Card(
        name=words.name,
        description=words.description,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        labels=LABELS,
        recipe=DEFAULT_RECIPE,
        versions={"keras": keras.__version__, "tensorflow": tf.__version__, "numpy": np.__version__},
        licence=words.licence,
        data_terms=words.data_terms,
        limits_of_use=words.limits_of_use,
        **parts,
    )


def _part(count: int, share: float) -> int:
    return max(round(count * share), 4)

"""From a configuration to a bundle: make phantoms, train, calibrate, measure, export."""

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from services.common.card import Card, OperatingPoint, Thresholds, open_bundle
from services.common.labels import LABELS
from services.common.recipe import DEFAULT_RECIPE
from training.answers import Networks, answer, levels, report
from training.calibrate import operating_points, temperatures
from training.cnn import Cnn, CnnShape
from training.configs.phantom_test import SHIFTED, TEST
from training.evaluate import auc
from training.export import save_networks, seal
from training.fit_cnn import CnnFit, Progress, Watch, extractor, fit_cnn
from training.fit_rnn import RnnFit, Series, fit_rnn
from training.kept_cases import KeptCases
from training.phantom.orders import ANY_STUDY, Order
from training.pictures import GRID, Wanted, make
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

    def scaled(self, share: float) -> "Config":
        """The same with that share of the phantoms and of the steps; calibration and test stay as large."""
        amounts = replace(self.amounts, rnn=_part(self.amounts.rnn, share))
        cnn_fit = replace(self.cnn_fit, steps=_part(self.cnn_fit.steps, share))
        rnn_fit = replace(self.rnn_fit, steps=_part(self.rnn_fit.steps, share))
        return replace(self, amounts=amounts, cnn_fit=cnn_fit, rnn_fit=rnn_fit)


# The first seed of each part's phantoms. Those to measure on begin at 3 million, samples and tests at 8 and 9.
SEEDS = {"cnn": 0, "rnn": 1_000_000, "calibration": 2_000_000, "watch": 2_500_000}


def build(config: Config, folder: Path, run: Path, begin: Path | None = None) -> Card:
    """Train a bundle from phantoms and write it to `folder`.

    `run` is where the CNN's training leaves its checkpoint and its figures, and what it made of whole studies; what
    lies there is gone on with. `begin` is a bundle whose networks the training begins as.
    """
    begun = _begun(begin)
    progress = Progress(run, watch=_watch(config.amounts), begin=begin)
    amounts = config.amounts
    cnn = fit_cnn(config.cnn_shape, config.cnn_fit, progress)
    kept, after = KeptCases(cnn, run), time.monotonic()
    studies = _series(kept, "rnn", amounts.rnn, config.cnn_fit.stream.order)
    rnn = fit_rnn(config.rnn_shape, config.rnn_fit, cnn.last, studies)
    points, found = calibrate(rnn, _series(kept, "calibration", amounts.calibration))
    files = save_networks(folder, cnn, rnn)
    metrics = _measured(kept, Networks(cnn.last, rnn), points)
    minutes = progress.minutes() + (kept.spent_before_s + time.monotonic() - after) / 60
    card = make_card(
        config.words,
        feature_size=int(cnn.last.kernel.shape[0]),
        blood_grid=(GRID, GRID),
        files=files,
        metrics=metrics,
        temperatures=found,
        thresholds=points,
        training=begun | _training(config, minutes=minutes),
    )
    seal(folder, card, cnn, rnn)
    return card


def calibrate(rnn: Rnn, studies: list[Series]) -> tuple[dict[OperatingPoint, Thresholds], dict[str, float]]:
    """Set the graph's temperatures, then find the operating points: both from the same studies."""
    call = tf.function(lambda *inputs: rnn.logits(list(inputs), training=False), reduce_retracing=True)
    logits = [call(tf.constant(study.features[None]), tf.constant(study.position_mm[None])) for study in studies]
    pairs = [(slices[0].numpy(), series[0].numpy()) for slices, series in logits]
    slices, series = levels(studies, pairs)
    found = temperatures(slices), temperatures(series)
    rnn.temperatures.slice.assign(found[0])
    rnn.temperatures.series.assign(found[1])
    names = ("slice_any", "slice_subtypes", "series_any", "series_subtypes")
    values = (found[0][0], found[0][1], found[1][0], found[1][1])
    points = operating_points(*levels(studies, answer(rnn, studies)))
    return points, {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}


def _studies(part: str, count: int, slices: int | None = None, order: Order = ANY_STUDY) -> list[Wanted]:
    return [Wanted(SEEDS[part] + number, slices, order) for number in range(count)]


def _watch(amounts: Amounts) -> Watch:
    """Figures of a CNN in training, on slices that it never learns from."""
    made = make(_studies("watch", amounts.watch, slices=10), name="phantoms to watch by")

    def watch(cnn: Cnn) -> dict[str, float]:
        logits = extractor(cnn)(made.small) @ cnn.last.kernel.numpy() + cnn.last.bias.numpy()
        known = made.certain
        return {
            label: round(auc(logits[known[:, column], column], made.labels[known[:, column], column]), 4)
            for column, label in enumerate(LABELS)
        }

    return watch


def _series(kept: KeptCases, part: str, count: int, order: Order = ANY_STUDY) -> list[Series]:
    return [case.series for case in kept.of(_studies(part, count, order=order), name=f"phantoms for {part}")]


def _measured(kept: KeptCases, networks: Networks, points: Mapping[OperatingPoint, Thresholds]) -> dict[str, Any]:
    tested = kept.of(TEST, name="phantoms to measure on")
    shifted = {shift: kept.of(every, name=f"shifted: {shift}") for shift, every in SHIFTED.items()}
    return report(networks, tested, shifted, points)


def _begun(begin: Path | None) -> dict[str, Any]:
    """What the training goes on from, and how that was made."""
    if begin is None:
        return {}
    bundle = open_bundle(begin)
    return {"begins_as": {"name": bundle.card.name, "card_sha256": bundle.card_sha256, **bundle.card.training}}


def _training(config: Config, *, minutes: float) -> dict[str, Any]:
    fit = config.cnn_fit
    return {
        "data": "synthetic phantoms only; no patient's picture was used",
        "command": config.words.command,
        "seeds": SEEDS,
        "studies": asdict(config.amounts) | {"cnn": fit.stream.rounds_by(fit.steps) * fit.stream.studies_a_round},
        "cnn_slices": {"made": fit.stream.slices_by(fit.steps), "seen": fit.steps * fit.batch},
        "backbone": config.cnn_shape.backbone,
        "cnn": asdict(fit),
        "rnn": asdict(config.rnn_fit),
        "minutes": round(minutes, 1),
    }


def make_card(words: Words, **parts: Any) -> Card:
    """A card with words, versions and the moment; `parts` are all its other fields."""
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

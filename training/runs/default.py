"""From a configuration to a bundle: make phantoms, train, calibrate, measure, export."""

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from services.common.card import Card
from services.common.operating_points import OperatingPoint, Thresholds
from training.bundle.ancestors import list_ancestors
from training.bundle.build_card import build_card
from training.bundle.export import save_networks, seal
from training.configs.phantom_config import SEEDS, Config, studies
from training.data.pictures import GRID
from training.data.scanner_augment import NO_AUGMENT, ScannerAugment
from training.data.series import Series
from training.data.spacing import learnt_spacing_mm
from training.evaluate.card_metrics import phantom_metrics
from training.evaluate.feature_cache import CnnFeatureCache
from training.evaluate.predictions import Predictors, TwinStudies, predictors
from training.evaluate.rnn_calibration import calibrate_rnn
from training.evaluate.test_set import SHIFTED, TEST, twins
from training.phantom.study_options import RANDOM_STUDY, StudyOptions
from training.train.bundle_weights import begin_from
from training.train.interpolation import interpolate_weights
from training.train.rnn import fit_rnn
from training.train.validation import fit_watched

LOG = logging.getLogger(__name__)


def build(config: Config, folder: Path, run: Path, begin: Path | None = None, soup: Path | None = None) -> Card:
    """Train a bundle from phantoms and write it to `folder`.

    `run` is where the CNN's training leaves its checkpoint and its figures, and what it made of whole studies; what
    lies there is gone on with. `begin` is a bundle whose networks the training begins as, `soup` one whose weights are
    mixed with those that have learnt, by the share that the configuration says.
    """
    ancestors = list_ancestors(begin, soup, config.soup_weight)
    amounts = config.amounts
    cnn, progress = fit_watched(config, run, partial(begin_from, begin) if begin else None)
    if soup:
        interpolate_weights(cnn, soup, config.soup_weight)
    kept, after = CnnFeatureCache(cnn, run), time.monotonic()
    learnt = _series(kept, "rnn", amounts.rnn, options=_rnn_options(config), others=config.scanner_augment)
    rnn = fit_rnn(config.rnn_shape, config.rnn_fit, cnn.last, learnt)
    points, found = calibrate_rnn(rnn, _series(kept, "calibration", amounts.calibration))
    files = save_networks(folder, cnn, rnn)
    metrics = _measured(kept, predictors(cnn.last, rnn), points)
    minutes = progress.minutes() + (kept.spent_before_s + time.monotonic() - after) / 60
    card = build_card(
        config.words,
        feature_size=int(cnn.last.kernel.shape[0]),
        blood_grid=(GRID, GRID),
        spacing_mm=learnt_spacing_mm(study.position_mm for study in learnt),
        files=files,
        metrics=metrics,
        temperatures=found,
        thresholds=points,
        training={
            **_training(config),
            "minutes": round(minutes, 1),
            "cnn_minutes": round(progress.minutes(), 1),
            "ancestors": ancestors,
        },
    )
    seal(folder, card, cnn, rnn)
    return card


def _series(
    kept: CnnFeatureCache,
    part: str,
    count: int,
    *,
    options: StudyOptions = RANDOM_STUDY,
    others: ScannerAugment = NO_AUGMENT,
) -> list[Series]:
    made = kept.of(studies(part, count, options=options), name=f"phantoms for {part}", others=others)
    return [case.series for case in made]


def _measured(
    kept: CnnFeatureCache, measured: Predictors, points: Mapping[OperatingPoint, Thresholds]
) -> dict[str, Any]:
    tested = kept.of(TEST, name="phantoms to measure on")
    pairs = {
        shift: TwinStudies(kept.of(every, name=f"shifted: {shift}"), kept.of(twins(every), name=f"twins: {shift}"))
        for shift, every in SHIFTED.items()
    }
    return phantom_metrics(measured, tested, pairs, points)


def _training(config: Config) -> dict[str, Any]:
    fit = config.cnn_fit
    return {
        "data": "synthetic phantoms only; no patient's picture was used",
        "command": config.words.command,
        "seeds": SEEDS,
        "studies": asdict(config.amounts) | {"cnn": fit.stream.rounds_by(fit.steps) * fit.stream.studies_a_round},
        "cnn_slices": {"made": fit.stream.slices_by(fit.steps), "seen": fit.steps * fit.batch},
        "backbone": config.cnn_shape.backbone,
        "cnn": asdict(fit),
        "rnn": asdict(config.rnn_fit)
        | {"order": asdict(_rnn_options(config)), "other_scanners": asdict(config.scanner_augment)},
    }


def _rnn_options(config: Config) -> StudyOptions:
    return config.rnn_options or config.cnn_fit.stream.options

"""Builds a bundle from a configuration of phantoms: trains, calibrates, measures and exports."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from services.common.card import Card
from training.bundle.ancestors import list_ancestors
from training.bundle.build_card import build_card
from training.bundle.export import save_networks, seal
from training.configs.config import SEEDS, Config, studies
from training.data.pictures import GRID
from training.data.scanner_augment import NO_AUGMENT, ScannerAugment
from training.data.series import Series
from training.data.spacing import learnt_spacing_mm
from training.evaluate.card_metrics import phantom_metrics
from training.evaluate.feature_cache import CnnFeatureCache
from training.evaluate.predictions import StudyFeatures, TwinStudies, predictors
from training.evaluate.rnn_calibration import calibrate_rnn
from training.evaluate.test_set import SHIFTED, TEST, twins
from training.phantom.study_options import RANDOM_STUDY, Shift, StudyOptions, StudyRequest
from training.train.initial_weights import interpolate_weights, load_bundle
from training.train.phantom_cnn import fit_config_cnn
from training.train.rnn import fit_rnn

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MeasuredStudies:
    """Studies that a bundle is measured on: usual ones, and others that differ from them by one shift."""

    usual: Sequence[StudyRequest]
    shifted: Mapping[Shift, Sequence[StudyRequest]]


FIXED_TEST_SET: Final = MeasuredStudies(TEST, SHIFTED)


def build_default(
    config: Config,
    folder: Path,
    run: Path,
    begin: Path | None = None,
    soup: Path | None = None,
    measured: MeasuredStudies = FIXED_TEST_SET,
) -> Card:
    """Train a bundle from phantoms and write it to `folder`; return its card.

    Parameters
    ----------
    run : folder of checkpoints, figures and cached features; an interrupted build resumes from it
    begin : bundle whose weights the CNN starts with
    soup : bundle whose weights are interpolated with those of the trained CNN, by `config.soup_weight`
    """
    ancestors = list_ancestors(begin, soup, config.soup_weight)
    phantoms = config.phantoms
    if phantoms is None:
        raise ValueError("the configuration has no phantoms")
    cnn, training = fit_config_cnn(config, run, partial(load_bundle, begin) if begin else None)
    if soup:
        interpolate_weights(cnn, soup, config.soup_weight)
    cache, start = CnnFeatureCache(cnn, run), time.monotonic()
    series = _series(cache, "rnn", phantoms.rnn, options=_rnn_options(config), others=phantoms.scanner_augment)
    rnn = fit_rnn(config.rnn_shape, config.rnn, cnn.last, series)
    points, found = calibrate_rnn(rnn, _series(cache, "calibration", phantoms.calibration))
    files = save_networks(folder, cnn, rnn)
    metrics = phantom_metrics(predictors(cnn.last, rnn), *_measured_features(cache, measured), points)
    minutes = training.minutes() + (cache.spent_before_s + time.monotonic() - start) / 60
    card = build_card(
        config.card,
        feature_size=int(cnn.last.kernel.shape[0]),
        blood_grid=(GRID, GRID),
        spacing_mm=learnt_spacing_mm(study.position_mm for study in series),
        files=files,
        metrics=metrics,
        temperatures=found,
        thresholds=points,
        training={
            **_training_summary(config),
            "minutes": round(minutes, 1),
            "cnn_minutes": round(training.minutes(), 1),
            "ancestors": ancestors,
        },
    )
    seal(folder, card, cnn, rnn)
    return card


def _series(
    cache: CnnFeatureCache,
    part: str,
    count: int,
    *,
    options: StudyOptions = RANDOM_STUDY,
    others: ScannerAugment = NO_AUGMENT,
) -> list[Series]:
    made = cache.of(studies(part, count, options=options), name=f"phantoms for {part}", others=others)
    return [study.series for study in made]


def _measured_features(
    cache: CnnFeatureCache, measured: MeasuredStudies
) -> tuple[list[StudyFeatures], dict[Shift, TwinStudies]]:
    usual = cache.of(measured.usual, name="phantoms to measure on")
    pairs = {
        shift: TwinStudies(cache.of(own, name=f"shifted: {shift}"), cache.of(twins(own), name=f"twins: {shift}"))
        for shift, own in measured.shifted.items()
    }
    return usual, pairs


def _training_summary(config: Config) -> dict[str, Any]:
    stream, phantoms, steps = config.cnn.stream, config.phantoms, config.cnn.steps
    if stream is None or phantoms is None or steps is None:
        raise ValueError("the configuration has no phantoms")
    return {
        "data": "synthetic phantoms only; no patient's picture was used",
        "command": config.card.command,
        "seeds": SEEDS,
        "studies": {
            "rnn": phantoms.rnn,
            "calibration": phantoms.calibration,
            "validation": phantoms.validation,
            "cnn": stream.rounds_by(steps) * stream.studies_a_round,
        },
        "cnn_slices": {"made": stream.slices_by(steps), "seen": steps * config.cnn.batch},
        "backbone": config.cnn_shape.backbone,
        "cnn": asdict(config.cnn),
        "rnn": asdict(config.rnn)
        | {"order": asdict(_rnn_options(config)), "other_scanners": asdict(phantoms.scanner_augment)},
    }


def _rnn_options(config: Config) -> StudyOptions:
    own = config.phantoms.options if config.phantoms else None
    return own or (config.cnn.stream.options if config.cnn.stream else RANDOM_STUDY)

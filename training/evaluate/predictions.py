"""What trained networks answer to whole studies of phantoms, and the figures that the card states of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import expit

from services.common.labels import LABELS
from services.common.operating_points import Points
from training.data.pictures import made_in_turn
from training.data.scanner_augment import NO_AUGMENT, ScannerAugment
from training.data.series import Series, as_series
from training.evaluate.metrics import (
    ALONE,
    ScoredLabels,
    auc,
    aucs,
    calibration_error,
    chance_calibration_error,
    interval,
    log_loss,
    lost,
    measure,
    precision_recall,
    reliability,
    roc,
    rounded,
)
from training.evaluate.thresholding import predict_studies, reported_series
from training.networks.extractor import Extractor
from training.networks.rnn import Rnn
from training.networks.signature import rnn_signature
from training.phantom.study_options import Shift, StudyRequest

Answer = tuple[NDArray[np.float32], NDArray[np.float32]]  # of the slices (n, 6) and of the series (6,)
QUARTER: Final = 0.25


@dataclass(frozen=True, slots=True)
class StudyFeatures:
    """A phantom study as the RNN gets it, beside what simple counting says of its slices; (n,) each."""

    series: Series
    bright: NDArray[np.int32]
    brain: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class TwinStudies:
    """Shifted studies, and in the same order their twins without the shift."""

    shifted: Sequence[StudyFeatures]
    twins: Sequence[StudyFeatures]


@dataclass(frozen=True, slots=True)
class Networks:
    """What is measured: `last` gives the CNN's own logits from features, `rnn` the answers."""

    last: Any
    rnn: Rnn


@dataclass(frozen=True, slots=True)
class Predictors:
    """What answers to whole studies, and others by name, which are measured beside it."""

    bundle: Callable[[Sequence[Series]], list[Answer]]
    others: Mapping[str, Callable[[Sequence[Series]], list[Answer]]]


def cases(
    extract: Extractor, wanted: Sequence[StudyRequest], *, name: str, others: ScannerAugment = NO_AUGMENT
) -> list[StudyFeatures]:
    """Whole studies, each as all that show it give it; pictures are let go of once the CNN saw them."""
    found = []
    for made in made_in_turn(wanted, name=name):
        for small in others.show(made):
            (series,) = as_series(made, extract(small))
            found.append(StudyFeatures(series, made.bright, made.brain))
    return found


def answer(rnn: Rnn, studies: Sequence[Series]) -> list[Answer]:
    """Slice and series probabilities, (n, 6) and (6,), of every study."""
    size = studies[0].features.shape[1]
    call = tf.function(rnn.serving, input_signature=rnn_signature(size))
    every = [call(tf.constant(study.features), tf.constant(study.position_mm)) for study in studies]
    return [(given["slice_probabilities"].numpy(), given["series_probabilities"].numpy()) for given in every]


def alone(rnn: Rnn, studies: Sequence[Series]) -> list[Answer]:
    """The same where every slice is sent as a series of its own; the series has the largest of their answers."""
    found = []
    for study in studies:
        slices, series = rnn.logits([study.features[:, None], np.zeros((len(study.features), 1), np.float32)])
        every = rnn.temperatures(slices[:, 0], series)["slice_probabilities"].numpy()
        found.append((every, every.max(axis=0)))
    return found


def predict_by_cnn(last: Any, studies: Sequence[Series]) -> list[Answer]:
    """The CNN's own opinion without an RNN; the series has the largest of its slices."""
    weights, bias = last.get_weights()
    every = [expit(study.features @ weights + bias) for study in studies]
    return [(slices, slices.max(axis=0)) for slices in every]


def levels(
    studies: Sequence[Series], answers: Sequence[Answer], groups: NDArray[np.integer[Any]] | None = None
) -> tuple[ScoredLabels, ScoredLabels]:
    """Answers beside truth and certainty: of all slices, and of all series. Those of one group are drawn together."""
    labels, label_mask = [study.labels for study in studies], [study.label_mask for study in studies]
    present = np.stack([every.any(axis=0) for every in labels])
    known = present | np.stack([every.all(axis=0) for every in label_mask])
    numbers = np.arange(len(studies)) if groups is None else groups
    slices = np.concatenate([given[0] for given in answers])
    series = np.stack([given[1] for given in answers])
    each = np.repeat(numbers, [len(every) for every in labels])
    return (
        ScoredLabels(slices, np.concatenate(labels), np.concatenate(label_mask), each),
        ScoredLabels(series, present, known, numbers),
    )


def report(
    networks: Networks, tested: Sequence[StudyFeatures], shifted: Mapping[Shift, TwinStudies], points: Points
) -> dict[str, Any]:
    """The card's `metrics`, on studies that nothing has learnt from."""
    others = {"cnn": partial(predict_by_cnn, networks.last), ALONE: partial(alone, networks.rnn)}
    return figures(Predictors(partial(answer, networks.rnn), others), tested, shifted, points)


def figures(
    answering: Predictors, tested: Sequence[StudyFeatures], shifted: Mapping[Shift, TwinStudies], points: Points
) -> dict[str, Any]:
    """All that is measured, whatever it is that answers."""
    studies = [case.series for case in tested]
    both = levels(studies, answering.bundle(studies))
    slices, lengths = both[0], lengths_of(studies)
    middle = middle_slices(lengths)
    others = {name: ask(studies) for name, ask in answering.others.items()} | {
        "pixels from 50 to 100 HU": [_counted(case.bright) for case in tested],
        "area of the brain": [_counted(case.brain) for case in tested],
    }
    twins = {shift: _asked(answering, pairs.twins) for shift, pairs in shifted.items()}
    return {"data": "synthetic phantoms: the fixed set of training/evaluate/test_set.py"} | {
        **usual_figures(*both, lengths, points),
        "beside": {name: beside(*levels(studies, given), middle) for name, given in others.items()},
        "shifted": {
            shift: _shifted(_asked(answering, pairs.shifted), twins[shift][0], slices)
            for shift, pairs in shifted.items()
        },
        "with_twins": _calibration([both[1], *(series for _, series in twins.values())]),
    }


def usual_figures(slices: ScoredLabels, series: ScoredLabels, lengths: Sequence[int], points: Points) -> dict[str, Any]:
    """What is measured of any answers to any studies; `lengths` says how many slices each has."""
    whole = reported_series(slices, series, lengths)
    predicted = {point: predict_studies(slices.scores, series.scores, lengths, at) for point, at in points.items()}
    return {
        "studies": len(whole.scores),
        "slices": len(slices.scores),
        "slice": measure(slices, {point: rows.slice for point, rows in predicted.items()}),
        "series": measure(whole, {point: rows.series for point, rows in predicted.items()}),
        "middle_slice_auc": aucs(slices.at(middle_slices(lengths))),
        "healthy_slices_median_any": _healthy_median(slices),
        "curves": _curves(slices, whole),
    }


def lengths_of(studies: Sequence[Series]) -> list[int]:
    """How many slices each study has."""
    return [len(study.labels) for study in studies]


def middle_slices(lengths: Sequence[int]) -> NDArray[np.bool_]:
    """Which of all slices lie in the middle half of their study."""
    return np.concatenate([_middle(length) for length in lengths])


def beside(slices: ScoredLabels, series: ScoredLabels, middle: NDArray[np.bool_]) -> dict[str, Any]:
    """AUCs of what a reader may compare with."""
    return {"slice": aucs(slices), "series": aucs(series), "middle_slice": aucs(slices.at(middle))}


def _counted(pixels: NDArray[np.int32]) -> Answer:
    every = np.repeat(pixels[:, None], len(LABELS), axis=1).astype(np.float32)
    return every, every.max(axis=0)


def _shifted(asked: tuple[ScoredLabels, ScoredLabels], twins: ScoredLabels, usual: ScoredLabels) -> dict[str, Any]:
    """By `drop` less than in the usual studies, whose blood is other blood; `lost` by the shift alone."""
    slices, series = asked
    alone, ends = lost(twins, slices)
    drop = auc(*usual.of(0)[:2]) - auc(*slices.of(0)[:2])
    return {
        "slice_auc": aucs(slices),
        "series_auc": aucs(series),
        "any_slice_auc_95_interval": interval(auc, *slices.of(0)),
        "any_slice_auc_drop": rounded(drop),
        "any_slice_auc_lost": alone,
        "any_slice_auc_lost_95_interval": ends,
        "healthy_slices_median_any": _healthy_median(slices),
    }


def _calibration(every: Sequence[ScoredLabels]) -> dict[str, Any]:
    """How far what is said of `any` is off in more than the usual series: twins differ from them by seeds alone."""
    said, true = (np.concatenate(column) for column in zip(*(series.of(0)[:2] for series in every), strict=True))
    return {
        "series": len(said),
        "calibration_error": rounded(calibration_error(said, true)),
        "chance_calibration_error": rounded(chance_calibration_error(said)),
        "log_loss": rounded(log_loss(said, true)),
    }


def _asked(answering: Predictors, cases: Sequence[StudyFeatures]) -> tuple[ScoredLabels, ScoredLabels]:
    studies = [case.series for case in cases]
    return levels(studies, answering.bundle(studies))


def _healthy_median(slices: ScoredLabels) -> float | None:
    scores, truth, _ = slices.of(0)
    return rounded(float(np.median(scores[~truth]))) if not truth.all() else None


def _curves(slices: ScoredLabels, series: ScoredLabels) -> dict[str, Any]:
    """Of every label: sensitivities and precisions at given points, and how often what was said came true."""
    levels = {"slice": slices, "series": series}
    curves = {"roc": roc, "precision_recall": precision_recall, "reliability": reliability}
    return {
        level: {
            label: {name: curve(*scored.of(column)[:2]) for name, curve in curves.items()}
            for column, label in enumerate(LABELS)
        }
        for level, scored in levels.items()
    }


def _middle(count: int) -> NDArray[np.bool_]:
    """Which of a study's slices lie in its middle half, (count,) bool."""
    place = (np.arange(count) + 0.5) / count
    return np.abs(place - 0.5) <= QUARTER

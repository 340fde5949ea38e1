"""Predictions of networks for whole studies, and the scores and labels of their slices and series."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import expit

from training.data.pictures import iterate_pictures
from training.data.scanner_augment import NO_AUGMENT, ScannerAugment
from training.data.series import Series, as_series
from training.evaluate.metrics import SINGLE_SLICES, ScoredLabels
from training.networks.extractor import Extractor
from training.networks.rnn import Rnn
from training.networks.signature import rnn_signature
from training.phantom.study_options import StudyRequest

Prediction = tuple[NDArray[np.float32], NDArray[np.float32]]  # probabilities of the slices (n, 6) and the series (6,)
Predict = Callable[[Sequence[Series]], list[Prediction]]


@dataclass(frozen=True, slots=True)
class StudyFeatures:
    """A phantom study as the RNN gets it, and the pixel counts of its slices for the baselines; (n,) each."""

    series: Series
    bright: NDArray[np.int32]
    brain: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class TwinStudies:
    """Shifted studies, and in the same order their twins without the shift."""

    shifted: Sequence[StudyFeatures]
    twins: Sequence[StudyFeatures]


@dataclass(frozen=True, slots=True)
class Predictors:
    """The predictor that is measured, and others by their names in a card's `beside`."""

    bundle: Predict
    others: Mapping[str, Predict]


def predictors(last: Any, rnn: Rnn) -> Predictors:
    """Predictors by networks in training; `last` is the layer of the CNN's logits."""
    others = {"cnn": partial(predict_by_cnn, last), SINGLE_SLICES: partial(predict_single_slices, rnn)}
    return Predictors(partial(predict, rnn), others)


def study_features(
    extract: Extractor, wanted: Sequence[StudyRequest], *, name: str, others: ScannerAugment = NO_AUGMENT
) -> list[StudyFeatures]:
    """Features of whole studies, once for each scanner of `others`; keeps no pictures."""
    found = []
    for made in iterate_pictures(wanted, name=name):
        for small in others.show(made):
            (series,) = as_series(made, extract(small))
            found.append(StudyFeatures(series, made.bright, made.brain))
    return found


def predict(rnn: Rnn, studies: Sequence[Series]) -> list[Prediction]:
    """Predictions by the RNN."""
    size = studies[0].features.shape[1]
    call = tf.function(rnn.serving, input_signature=rnn_signature(size))
    found = [call(tf.constant(study.features), tf.constant(study.position_mm)) for study in studies]
    return [(given["slice_probabilities"].numpy(), given["series_probabilities"].numpy()) for given in found]


def predict_single_slices(rnn: Rnn, studies: Sequence[Series]) -> list[Prediction]:
    """Predictions by the RNN for every slice as a series of its own; the study's are the largest of them."""
    found = []
    for study in studies:
        slices, series = rnn.logits([study.features[:, None], np.zeros((len(study.features), 1), np.float32)])
        probabilities = rnn.temperatures(slices[:, 0], series)["slice_probabilities"].numpy()
        found.append((probabilities, probabilities.max(axis=0)))
    return found


def predict_by_cnn(last: Any, studies: Sequence[Series]) -> list[Prediction]:
    """Predictions by the CNN's own logits; a study's are the largest of its slices."""
    weights, bias = last.get_weights()
    found = [expit(study.features @ weights + bias) for study in studies]
    return [(slices, slices.max(axis=0)) for slices in found]


def predict_by_count(pixels: NDArray[np.int32]) -> Prediction:
    """The baseline that scores every label of a slice by a count of pixels, (n,)."""
    slices = np.repeat(pixels[:, None], 6, axis=1).astype(np.float32)
    return slices, slices.max(axis=0)


def score_levels(
    studies: Sequence[Series], predictions: Sequence[Prediction], groups: NDArray[np.integer[Any]] | None = None
) -> tuple[ScoredLabels, ScoredLabels]:
    """Scores and labels of all slices, and of all series.

    Parameters
    ----------
    groups : (k,), the group of each study, such as its patient: intervals draw whole groups; by default the study
    """
    labels, label_mask = [study.labels for study in studies], [study.label_mask for study in studies]
    present = np.stack([rows.any(axis=0) for rows in labels])
    known = present | np.stack([rows.all(axis=0) for rows in label_mask])
    numbers = np.arange(len(studies)) if groups is None else groups
    slices = np.concatenate([prediction[0] for prediction in predictions])
    series = np.stack([prediction[1] for prediction in predictions])
    of_slices = np.repeat(numbers, lengths_of(studies))
    return (
        ScoredLabels(slices, np.concatenate(labels), np.concatenate(label_mask), of_slices),
        ScoredLabels(series, present, known, numbers),
    )


def lengths_of(studies: Sequence[Series]) -> list[int]:
    """The number of slices of each study."""
    return [len(study.labels) for study in studies]

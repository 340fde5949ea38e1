"""What a trained RNN answers to whole studies, and the figures that the card states of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from services.common.card import OperatingPoint, Thresholds
from training.evaluate import auc, auc_interval, measure
from training.export import rnn_signature
from training.fit_rnn import Series
from training.pictures import Pictures
from training.rnn import Rnn

Answer = tuple[NDArray[np.float32], NDArray[np.float32]]  # of the slices (n, 6) and of the series (6,)
Level = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]  # values, truth, certainty: (m, 6) each
Points = Mapping[OperatingPoint, Thresholds]
QUARTER = 0.25


def answer(rnn: Rnn, studies: Sequence[Series]) -> list[Answer]:
    """Slice and series probabilities, (n, 6) and (6,), of every study."""
    size = studies[0].features.shape[1]
    call = tf.function(rnn.serving, input_signature=rnn_signature(size))
    every = [call(tf.constant(study.features), tf.constant(study.position_mm)) for study in studies]
    return [(given["slice_probabilities"].numpy(), given["series_probabilities"].numpy()) for given in every]


def levels(studies: Sequence[Series], answers: Sequence[Answer]) -> tuple[Level, Level]:
    """Answers beside truth and certainty: of all slices, and of all series."""
    labels, certain = [study.labels for study in studies], [study.certain for study in studies]
    present = np.stack([every.any(axis=0) for every in labels])
    known = present | np.stack([every.all(axis=0) for every in certain])
    slices = np.concatenate([given[0] for given in answers])
    series = np.stack([given[1] for given in answers])
    return (slices, np.concatenate(labels), np.concatenate(certain)), (series, present, known)


def report(
    rnn: Rnn, studies: Sequence[Series], pictures: Pictures, points: Mapping[OperatingPoint, Thresholds]
) -> dict[str, Any]:
    """The card's `metrics`, on studies that nothing has learnt from."""
    answers = answer(rnn, studies)
    slices, series = levels(studies, answers)
    return {
        "data": "synthetic phantoms of seeds that nothing else was made from",
        "studies": len(studies),
        "slices": len(pictures),
        "baseline": "the number of pixels from 50 to 100 HU inside the skull",
        **_against_baseline(studies, [given[0][:, 0] for given in answers], pictures.bright),
        "slice": measure(*slices, {point: at.slice for point, at in points.items()}),
        "series": measure(*series, {point: at.series for point, at in points.items()}),
    }


def _against_baseline(
    studies: Sequence[Series], scores: Sequence[NDArray[np.float32]], bright: NDArray[np.int32]
) -> dict[str, Any]:
    """The AUC of `any` beside the baseline's: of all slices, and of those in the middle half of each study.

    Slices with little brain are easily called healthy, and flatter both.
    """
    known = [study.certain[:, 0] for study in studies]
    truth = [study.labels[mask, 0] for study, mask in zip(studies, known, strict=True)]
    ours = [score[mask] for score, mask in zip(scores, known, strict=True)]
    counted = bright[np.concatenate(known)]
    middle = np.concatenate([_middle(len(mask))[mask] for mask in known])
    every, true = np.concatenate(ours), np.concatenate(truth)
    return {
        "any_slice_auc_95_interval": auc_interval(ours, truth),
        "baseline_any_slice_auc": round(auc(counted, true), 4),
        "middle_any_slice_auc": round(auc(every[middle], true[middle]), 4),
        "baseline_middle_any_slice_auc": round(auc(counted[middle], true[middle]), 4),
    }


def _middle(count: int) -> NDArray[np.bool_]:
    """Which of a study's slices lie in its middle half, (count,) bool."""
    place = (np.arange(count) + 0.5) / count
    return np.abs(place - 0.5) <= QUARTER

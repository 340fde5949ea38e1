"""The rule of `services.common.predictions` over many slices and series at once, for metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.common.labels import LABELS, Label
from services.common.operating_points import Thresholds
from training.evaluate.metrics import Floats, ScoredLabels, Truth


@dataclass(frozen=True, slots=True)
class Predicted:
    """Labels in reports at one operating point: slices (m, 6) and series (k, 6), in the order of `LABELS`."""

    slice: Truth
    series: Truth


def predict_rows(scores: Floats, thresholds: Mapping[Label, float], *, series: Truth | None = None) -> Truth:
    """Whether each label is present, (m, 6).

    Parameters
    ----------
    scores : (m, 6), in the order of `LABELS`
    series : (m, 6), for slices: the labels of each slice's series
    """
    above = scores.astype(np.float64) > np.array([thresholds[label] for label in LABELS])
    present: Truth = above if series is None else above & series
    present[:, 0] = present.any(axis=1)
    return present


def predict_studies(slices: Floats, series: Floats, lengths: Sequence[int], thresholds: Thresholds) -> Predicted:
    """Predictions of series and of their slices.

    Parameters
    ----------
    slices : (m, 6), one series after another
    series : (k, 6)
    lengths : number of slices of each series
    """
    single = np.array(lengths) == 1
    whole = predict_rows(series, thresholds.series)
    whole[single] = predict_rows(slices[_starts(lengths)[single]], thresholds.slice)
    return Predicted(predict_rows(slices, thresholds.slice, series=np.repeat(whole, lengths, axis=0)), whole)


def reported_series(slices: ScoredLabels, series: ScoredLabels, lengths: Sequence[int]) -> ScoredLabels:
    """The series with the probabilities in reports: a series of one slice has its slice's."""
    single = np.array(lengths) == 1
    scores = series.scores.copy()
    scores[single] = slices.scores[_starts(lengths)[single]]
    return replace(series, scores=scores)


def _starts(lengths: Sequence[int]) -> NDArray[np.int64]:
    """The first slice of each series."""
    return np.cumsum(lengths, dtype=np.int64) - np.array(lengths, np.int64)

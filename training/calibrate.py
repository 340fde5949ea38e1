"""Temperatures and operating points, from studies that no network has learnt from."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from services.common.labels import LABELS, SUBTYPES
from services.common.operating_points import OperatingPoint, Thresholds
from training.evaluate import Floats, Judged, Truth, log_loss

GOAL = 0.95  # sensitivity at the sensitive point, specificity at the specific one
MIN_CASES = 10  # fewer positives or negatives than this say nothing about a threshold


def temperatures(judged: Judged) -> NDArray[np.float32]:
    """One temperature for `any` and one for the subtypes, by the least log loss of logits; (6,) float32, by label.

    That of `any` is fitted on what is served, where no subtype is above it.
    """
    logits = judged.scores
    known = judged.certain[:, 1:]
    subtypes = _best(lambda value: log_loss(expit(logits[:, 1:] / value)[known], judged.truth[:, 1:][known]))
    largest = expit(logits[:, 1:] / subtypes).max(axis=1)
    known = judged.certain[:, 0]

    def loss(value: float) -> float:
        served = np.maximum(expit(logits[:, 0] / value), largest)
        return log_loss(served[known], judged.truth[:, 0][known])

    return np.array([_best(loss)] + [subtypes] * len(SUBTYPES), np.float32)


def _best(loss: Callable[[float], float]) -> float:
    candidates = np.exp(np.linspace(np.log(0.3), np.log(5), 120))
    return float(min(candidates, key=loss))


def operating_points(slices: Judged, series: Judged) -> dict[OperatingPoint, Thresholds]:
    """The points `default`, `sensitive` and `specific`."""
    half = dict.fromkeys(LABELS, 0.5)
    by_slice, by_series = _both(slices), _both(series)
    return {
        "default": Thresholds(slice=half, series=half),
        "sensitive": Thresholds(slice=by_slice[0], series=by_series[0]),
        "specific": Thresholds(slice=by_slice[1], series=by_series[1]),
    }


def _both(judged: Judged) -> tuple[dict[str, float], dict[str, float]]:
    pairs = [_pair(*judged.of(column)[:2]) for column in range(len(LABELS))]
    sensitive, specific = zip(*pairs, strict=True)
    return dict(zip(LABELS, sensitive, strict=True)), dict(zip(LABELS, specific, strict=True))


def _pair(scores: Floats, truth: Truth) -> tuple[float, float]:
    """Thresholds that reach the goal; the sensitive one is never the higher of the two."""
    if min(truth.sum(), (~truth).sum()) < MIN_CASES:
        return 0.5, 0.5
    for_sensitivity = float(np.quantile(scores[truth], 1 - GOAL, method="lower")) - 1e-6
    for_specificity = float(np.quantile(scores[~truth], GOAL, method="higher")) + 1e-6
    low, high = sorted((for_sensitivity, for_specificity))
    return round(max(low, 0.0), 6), round(min(high, 1.0), 6)

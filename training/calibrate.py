"""Temperatures and operating points, from studies that no network has learnt from."""

import numpy as np
from numpy.typing import NDArray

from services.common.card import OperatingPoint, Thresholds
from services.common.labels import LABELS, SUBTYPES
from training.evaluate import Floats, Judged, Truth, log_loss

GOAL = 0.95  # sensitivity at the sensitive point, specificity at the specific one
MIN_CASES = 10  # fewer positives or negatives than this say nothing about a threshold


def temperatures(judged: Judged) -> NDArray[np.float32]:
    """One temperature for `any` and one for the subtypes, by the least log loss of logits; (6,) float32, by label."""
    logits, truth, certain, parts = judged.scores, judged.truth, judged.certain, (slice(0, 1), slice(1, None))
    found = [_temperature(logits[:, part][certain[:, part]], truth[:, part][certain[:, part]]) for part in parts]
    return np.array([found[0]] + [found[1]] * len(SUBTYPES), np.float32)


def _temperature(logits: Floats, truth: Truth) -> float:
    candidates = np.exp(np.linspace(np.log(0.3), np.log(5), 120))
    losses = [log_loss(1 / (1 + np.exp(-logits / value)), truth) for value in candidates]
    return float(candidates[int(np.argmin(losses))])


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
    for_specificity = float(np.quantile(scores[~truth], GOAL, method="higher"))
    low, high = sorted((for_sensitivity, for_specificity))
    return round(max(low, 0.0), 6), round(min(high, 1.0), 6)

"""Fits temperatures and operating points on studies that no network was trained on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from services.common.labels import LABELS, SUBTYPES, Label
from services.common.operating_points import Bases, Basis, OperatingPoint, Thresholds
from training.evaluate.apply_thresholds import predict_rows
from training.evaluate.metrics import Floats, ScoredLabels, Truth, log_loss

DEFAULT = 0.5  # the threshold of the point `default`, as in the source project
MARGIN = 1e-6  # between a threshold and the score that it is taken from
GOAL = 0.95  # sensitivity at the sensitive point, specificity at the specific one
MIN_CASES = 10  # positives and negatives that a threshold needs


def fit_temperatures(scored: ScoredLabels) -> NDArray[np.float32]:
    """Temperatures with the lowest log loss, (6,) float32: one for `any`, one for all subtypes.

    That of `any` is fitted on the served probabilities, which are at least the largest subtype's.
    """
    logits = scored.scores
    known = scored.label_mask[:, 1:]
    subtypes = _best(lambda value: log_loss(expit(logits[:, 1:] / value)[known], scored.truth[:, 1:][known]))
    largest = expit(logits[:, 1:] / subtypes).max(axis=1)
    known = scored.label_mask[:, 0]

    def loss(value: float) -> float:
        served = np.maximum(expit(logits[:, 0] / value), largest)
        return log_loss(served[known], scored.truth[:, 0][known])

    return np.array([_best(loss)] + [subtypes] * len(SUBTYPES), np.float32)


def _best(loss: Callable[[float], float]) -> float:
    candidates = np.exp(np.linspace(np.log(0.3), np.log(5), 120))
    return float(min(candidates, key=loss))


def fit_operating_points(
    slices: ScoredLabels, series: ScoredLabels, lengths: Sequence[int]
) -> dict[OperatingPoint, Thresholds]:
    """The points `default`, `sensitive` and `specific`, ordered, by the served rule of predictions.

    `sensitive` is the smaller of .5 and the threshold for 95 % sensitivity, `specific` the larger of .5 and the
    threshold for 95 % specificity. A slice lacks a label that its series lacks, and has `any` with a subtype.
    """
    half = dict.fromkeys(LABELS, DEFAULT)
    return {
        "default": Thresholds(slice=half, series=half),
        "sensitive": _point(_Goal(1), slices, series, lengths),
        "specific": _point(_Goal(-1), slices, series, lengths),
    }


@dataclass(frozen=True, slots=True)
class _Goal:
    """The goal of a point: a share `GOAL` of the positives above its thresholds, or of the negatives below.

    sign : 1 where positives are to lie above, -1 where negatives are to lie below
    """

    sign: Literal[1, -1]

    def threshold(self, scores: Floats) -> float:
        """The tightest threshold that leaves `GOAL` of `scores` on the right side."""
        ascending = np.sort(self.sign * scores)
        return self.sign * (float(ascending[int((len(ascending) - 1) * (1 - GOAL))]) - MARGIN)

    def clamped(self, threshold: float) -> float:
        """The threshold, limited to that of `default`."""
        return min(threshold, DEFAULT) if self.sign > 0 else max(threshold, DEFAULT)


Choice = tuple[float, Basis]


def _point(goal: _Goal, slices: ScoredLabels, series: ScoredLabels, lengths: Sequence[int]) -> Thresholds:
    """Series first, as the labels of slices depend on them."""
    by_series = _level(goal, series, None)
    whole = predict_rows(series.scores, _thresholds(by_series))
    by_slice = _level(goal, slices, np.repeat(whole, lengths, axis=0))
    return Thresholds(
        slice=_thresholds(by_slice),
        series=_thresholds(by_series),
        basis=Bases(slice=_bases(by_slice), series=_bases(by_series)),
    )


def _thresholds(choices: Mapping[Label, Choice]) -> dict[Label, float]:
    return {label: threshold for label, (threshold, _) in choices.items()}


def _bases(choices: Mapping[Label, Choice]) -> dict[Label, Basis]:
    return {label: basis for label, (_, basis) in choices.items()}


def _level(goal: _Goal, scored: ScoredLabels, series: Truth | None) -> dict[Label, Choice]:
    """The choice for every label: subtypes first, as each makes `any` present.

    The score is infinity for a case that other labels make present, minus infinity for one that they make absent.
    """
    scores = scored.scores.astype(np.float64)
    if series is not None:
        scores[~series] = -np.inf
    subtypes = {label: _choose(goal, scored, scores, column) for column, label in enumerate(LABELS) if column}
    at = np.array([threshold for threshold, _ in subtypes.values()])
    scores[(scores[:, 1:] > at).any(axis=1), 0] = np.inf
    return {"any": _choose(goal, scored, scores, 0), **subtypes}


def _choose(goal: _Goal, scored: ScoredLabels, scores: Floats, column: int) -> Choice:
    known = scored.label_mask[:, column]
    truth, decided = scored.truth[known, column], scores[known, column]
    if min(truth.sum(), (~truth).sum()) < MIN_CASES:
        return DEFAULT, "too_few_cases"
    cases = decided[truth if goal.sign > 0 else ~truth]
    found = goal.threshold(cases)
    if found == -goal.sign * np.inf:
        return _of_open(goal, cases[np.isfinite(cases)]), "not_reached"
    threshold = goal.clamped(_rounded(found))
    return threshold, "goal_met" if threshold == _rounded(found) else "clamped"


def _of_open(goal: _Goal, cases: Floats) -> float:
    """The threshold for the cases that no other label decides."""
    return goal.clamped(_rounded(goal.threshold(cases))) if len(cases) else DEFAULT


def _rounded(threshold: float) -> float:
    return round(min(max(threshold, 0.0), 1.0), 6)

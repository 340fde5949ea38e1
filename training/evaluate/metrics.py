"""Metrics: discrimination, calibration and sensitivities of every label, with bootstrap intervals by study.

AUC and average precision equal scikit-learn's (a test compares them) and take a tenth of its time or less: each
interval computes 300 of them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from services.common.labels import LABELS
from services.common.operating_points import OperatingPoint

Floats = NDArray[np.floating[Any]]
Truth = NDArray[np.bool_]
Predicted = Mapping[OperatingPoint, Truth]  # rows (m, 6) at each operating point
Drawn = NDArray[np.integer[Any]]
LOSS_WEIGHTS: Final = np.array([2, 1, 1, 1, 1, 1]) / 7
BINS: Final = 15
ROUNDS: Final = 300
SINGLE_SLICES: Final = "rnn, slices alone"  # a predictor's name in a card's `beside`
UNCHANGED: Final = "as it is"  # a real series' name in a card's page


@dataclass(frozen=True, slots=True)
class ScoredLabels:
    """Probabilities or logits, and the labels.

    scores, truth, label_mask : (m, 6), in the order of `LABELS`
    study : (m,), the number of each row's study
    """

    scores: Floats
    truth: Truth
    label_mask: Truth
    study: NDArray[np.integer[Any]]

    def at(self, rows: NDArray[Any]) -> "ScoredLabels":
        """Some of the rows."""
        return ScoredLabels(self.scores[rows], self.truth[rows], self.label_mask[rows], self.study[rows])

    def of(self, column: int) -> tuple[Floats, Truth, NDArray[np.integer[Any]]]:
        """Scores, truth and studies of one label in the rows where it is known."""
        known = self.label_mask[:, column]
        return self.scores[known, column], self.truth[known, column], self.study[known]


def auc(scores: Floats, truth: Truth) -> float:
    """Area under the ROC curve, ties counting half; NaN without positives or without negatives."""
    positive, negative = scores[truth], np.sort(scores[~truth])
    if not len(positive) or not len(negative):
        return float("nan")
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(below.mean() / (2 * len(negative)))


def average_precision(scores: Floats, truth: Truth) -> float:
    """Precision averaged over the steps of recall, equal scores being one step; NaN without positives."""
    if not truth.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)
    found = np.cumsum(truth[order])[ends]
    return float((np.diff(found, prepend=0) * found / (ends + 1)).sum() / truth.sum())


def calibration_error(probabilities: Floats, truth: Truth) -> float:
    """Expected calibration error over 15 bins of equal width, weighted by their cases."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, probabilities - truth, BINS)
    return float(np.abs(gaps).sum() / max(len(truth), 1))


def chance_calibration_error(probabilities: Floats, *, seed: int = 0) -> float:
    """The mean calibration error of labels drawn with these probabilities: the least that can be expected.

    It is .03 and more for a hundred series.
    """
    rng = np.random.default_rng(seed)
    drawn = (rng.random(len(probabilities)) < probabilities for _ in range(ROUNDS))
    return float(np.mean([calibration_error(probabilities, truth) for truth in drawn]))


def log_loss(probabilities: Floats, truth: Truth) -> float:
    """Mean binary cross-entropy of probabilities clipped to 1e-6 from 0 and 1; NaN without cases."""
    if not len(truth):
        return float("nan")
    kept = np.clip(probabilities.astype(np.float64), 1e-6, 1 - 1e-6)
    return float(-np.where(truth, np.log(kept), np.log(1 - kept)).mean())


def competition_loss(scored: ScoredLabels) -> float:
    """The metric of RSNA 2019: mean log loss, `any` counting twice."""
    return float(LOSS_WEIGHTS @ [log_loss(*scored.of(column)[:2]) for column in range(len(LABELS))])


def measure(scored: ScoredLabels, predicted: Predicted) -> dict[str, Any]:
    """Metrics of every label at one level; `predicted` holds the labels of the rows at each operating point, (m, 6)."""
    result: dict[str, Any] = {}
    for column, label in enumerate(LABELS):
        scores, truth, study = scored.of(column)
        result[label] = {
            "positives": int(truth.sum()),
            "negatives": int((~truth).sum()),
            "auc": rounded(auc(scores, truth)),
            "auc_95_interval": interval(auc, scores, truth, study),
            "average_precision": rounded(average_precision(scores, truth)),
            "average_precision_95_interval": interval(average_precision, scores, truth, study),
            "calibration_error": rounded(calibration_error(scores, truth)) if len(truth) else None,
            "chance_calibration_error": rounded(chance_calibration_error(scores)) if len(truth) else None,
            "log_loss": rounded(log_loss(scores, truth)),
        }
        result[label] |= dict(points_of(scored, predicted, column))
    result["weighted_log_loss"] = rounded(competition_loss(scored))
    return result


def points_of(scored: ScoredLabels, predicted: Predicted, column: int) -> dict[OperatingPoint, dict[str, float | None]]:
    """Sensitivity and specificity of one label at each operating point: the metrics that depend on thresholds."""
    known = scored.label_mask[:, column]
    truth = scored.truth[known, column]
    return {point: _rates(rows[known, column], truth) for point, rows in predicted.items()}


def aucs(scored: ScoredLabels) -> dict[str, float | None]:
    """The AUC of every label."""
    return {label: rounded(auc(*scored.of(column)[:2])) for column, label in enumerate(LABELS)}


def interval(
    metric: Callable[[Floats, Truth], float], scores: Floats, truth: Truth, study: NDArray[Any], *, seed: int = 0
) -> list[float | None]:
    """95 % bootstrap interval of a metric, drawing whole studies; two times None without cases."""
    if not len(study):
        return [None, None]
    numbers = np.unique(study)
    rows_of = _resampler(study, numbers)
    return _interval(lambda rows: metric(scores[rows], truth[rows]), map(rows_of, _draws(len(numbers), seed)))


def auc_loss(
    before: ScoredLabels, after: ScoredLabels, *, column: int = 0, seed: int = 0
) -> tuple[float | None, list[float | None]]:
    """The AUC of studies `before` minus that of the same studies `after`, and its interval when pairs are drawn."""
    both, numbers = (before.of(column), after.of(column)), np.unique(before.study)
    rows_of = [_resampler(study, numbers) for _, _, study in both]

    def difference(drawn: Drawn) -> float:
        rows = [resample(drawn) for resample in rows_of]
        one, other = (auc(scores[at], truth[at]) for (scores, truth, _), at in zip(both, rows, strict=True))
        return one - other

    return rounded(difference(np.arange(len(numbers)))), _interval(difference, _draws(len(numbers), seed))


def roc(scores: Floats, truth: Truth) -> list[float]:
    """Sensitivities at specificities of at least 1, .95, .9 ... 0; empty without positives or without negatives."""
    if truth.all() or not truth.any():
        return []
    negatives = int((~truth).sum())
    false_rate, sensitivity, _ = roc_curve(truth, scores, drop_intermediate=False)
    allowed = (negatives - 1) - np.ceil(np.linspace(1, 0, 21)[:-1] * (negatives - 1))  # false positives
    places = np.searchsorted(np.rint(false_rate * negatives), allowed, "right") - 1
    return [round(float(value), 4) for value in [*sensitivity[places], 1.0]]


def precision_recall(scores: Floats, truth: Truth) -> list[float]:
    """Precisions at sensitivities of at least .05, .1 ... 1; empty without positives or without negatives."""
    if truth.all() or not truth.any():
        return []
    positives = int(truth.sum())
    precision, sensitivity, _ = precision_recall_curve(truth, scores)
    found = np.rint(sensitivity[::-1] * positives)  # true positives, ascending from 0
    places = np.searchsorted(found, np.ceil(np.arange(1, 21) * positives / 20), "left")
    return [round(float(value), 4) for value in precision[::-1][places]]


def reliability(probabilities: Floats, truth: Truth) -> list[list[float]]:
    """Mean probability, share of positives and number of cases of each bin that is not empty."""
    bins, found = np.minimum((probabilities * BINS).astype(int), BINS - 1), []
    for number in range(BINS):
        inside = bins == number
        if inside.any():
            mean, share = float(probabilities[inside].mean()), float(truth[inside].mean())
            found.append([round(mean, 4), round(share, 4), int(inside.sum())])
    return found


def rounded(value: float) -> float | None:
    """Four decimals; None for NaN, which JSON does not have."""
    return None if np.isnan(value) else round(value, 4)


def _draws(count: int, seed: int) -> Iterator[Drawn]:
    rng = np.random.default_rng(seed)
    return (rng.integers(0, count, count) for _ in range(ROUNDS))


def _resampler(study: NDArray[Any], numbers: NDArray[Any]) -> Callable[[Drawn], Drawn]:
    """Maps drawn places among `numbers` to the rows of these studies, repeated as often as drawn."""
    parts = [np.flatnonzero(study == number) for number in numbers]
    return lambda drawn: np.concatenate([parts[place] for place in drawn])


def _interval(metric: Callable[[Drawn], float], draws: Iterable[Drawn]) -> list[float | None]:
    """The 2.5th and 97.5th percentile of a metric over the draws."""
    found = [metric(drawn) for drawn in draws]
    low, high = np.nanquantile(found, [0.025, 0.975]) if not np.isnan(found).all() else (np.nan, np.nan)
    return [rounded(float(low)), rounded(float(high))]


def _rates(predicted: Truth, truth: Truth) -> dict[str, float | None]:
    return {
        "sensitivity": rounded(float(predicted[truth].mean()) if truth.any() else float("nan")),
        "specificity": rounded(float((~predicted[~truth]).mean()) if (~truth).any() else float("nan")),
    }

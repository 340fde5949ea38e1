"""What is measured: discrimination, calibration and operating points of every label, with intervals by studies."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.common.labels import LABELS
from services.common.operating_points import OperatingPoint

Floats = NDArray[np.floating[Any]]
Truth = NDArray[np.bool_]
Predicted = Mapping[OperatingPoint, Truth]  # rows (m, 6) at each operating point
Drawn = NDArray[np.integer[Any]]
LOSS_WEIGHTS: Final = np.array([2, 1, 1, 1, 1, 1]) / 7
BINS: Final = 15
ROUNDS: Final = 300
ALONE: Final = "rnn, slices alone"  # what is measured beside a bundle, by its name in the figures


@dataclass(frozen=True, slots=True)
class ScoredLabels:
    """Answers beside the truth.

    scores, truth, label_mask : (m, 6), in the order of `LABELS`
    study : (m,), which study each row is of
    """

    scores: Floats
    truth: Truth
    label_mask: Truth
    study: NDArray[np.integer[Any]]

    def at(self, rows: NDArray[Any]) -> "ScoredLabels":
        """Some of the rows."""
        return ScoredLabels(self.scores[rows], self.truth[rows], self.label_mask[rows], self.study[rows])

    def of(self, column: int) -> tuple[Floats, Truth, NDArray[np.integer[Any]]]:
        """Scores, truth and studies of one label where the truth is certain."""
        known = self.label_mask[:, column]
        return self.scores[known, column], self.truth[known, column], self.study[known]


def auc(scores: Floats, truth: Truth) -> float:
    """Chance that a positive scores above a negative, ties counting half; NaN where either is missing."""
    positive, negative = scores[truth], np.sort(scores[~truth])
    if not len(positive) or not len(negative):
        return float("nan")
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(below.mean() / (2 * len(negative)))


def average_precision(scores: Floats, truth: Truth) -> float:
    """Precision at each recall gained, averaged; equal scores are one step. NaN without positives."""
    if not truth.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)
    found = np.cumsum(truth[order])[ends]
    return float((np.diff(found, prepend=0) * found / (ends + 1)).sum() / truth.sum())


def calibration_error(probabilities: Floats, truth: Truth) -> float:
    """Expected calibration error: 15 bins of equal width, each counting by its cases."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, probabilities - truth, BINS)
    return float(np.abs(gaps).sum() / max(len(truth), 1))


def chance_calibration_error(probabilities: Floats, *, seed: int = 0) -> float:
    """The calibration error that these probabilities would have if they were true: no less can be asked for.

    Few cases leave a large one: of a hundred series .03 and more.
    """
    rng = np.random.default_rng(seed)
    drawn = (rng.random(len(probabilities)) < probabilities for _ in range(ROUNDS))
    return float(np.mean([calibration_error(probabilities, truth) for truth in drawn]))


def log_loss(probabilities: Floats, truth: Truth) -> float:
    """Mean binary cross-entropy, probabilities kept within 1e-6 of 0 and 1; NaN of nothing."""
    if not len(truth):
        return float("nan")
    kept = np.clip(probabilities.astype(np.float64), 1e-6, 1 - 1e-6)
    return float(-np.where(truth, np.log(kept), np.log(1 - kept)).mean())


def competition_loss(scored: ScoredLabels) -> float:
    """The challenge's metric: log loss averaged over slices, `any` counting twice."""
    return float(LOSS_WEIGHTS @ [log_loss(*scored.of(column)[:2]) for column in range(len(LABELS))])


def measure(scored: ScoredLabels, predicted: Predicted) -> dict[str, Any]:
    """Figures of every label at one level; `predicted` has, (m, 6), what each operating point predicts of the rows."""
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
    """Sensitivity and specificity of one label at each operating point: the figures that depend on thresholds."""
    known = scored.label_mask[:, column]
    truth = scored.truth[known, column]
    return {point: _share_right(rows[known, column], truth) for point, rows in predicted.items()}


def aucs(scored: ScoredLabels) -> dict[str, float | None]:
    """The AUC of every label."""
    return {label: rounded(auc(*scored.of(column)[:2])) for column, label in enumerate(LABELS)}


def interval(
    figure: Callable[[Floats, Truth], float], scores: Floats, truth: Truth, study: NDArray[Any], *, seed: int = 0
) -> list[float | None]:
    """95 % interval of a figure when whole studies are drawn again (bootstrap); of nothing, two times None."""
    if not len(study):
        return [None, None]
    numbers = np.unique(study)
    again = _drawing(study, numbers)
    return _ends(lambda rows: figure(scores[rows], truth[rows]), map(again, _draws(len(numbers), seed)))


def lost(
    before: ScoredLabels, after: ScoredLabels, *, column: int = 0, seed: int = 0
) -> tuple[float | None, list[float | None]]:
    """How much less an AUC is in the same studies `after`, and the 95 % interval when pairs are drawn again."""
    both, numbers = (before.of(column), after.of(column)), np.unique(before.study)
    again = [_drawing(study, numbers) for _, _, study in both]

    def difference(drawn: Drawn) -> float:
        rows = [draw(drawn) for draw in again]
        one, other = (auc(scores[at], truth[at]) for (scores, truth, _), at in zip(both, rows, strict=True))
        return one - other

    return rounded(difference(np.arange(len(numbers)))), _ends(difference, _draws(len(numbers), seed))


def roc(scores: Floats, truth: Truth) -> list[float]:
    """Sensitivities at specificities of 1, .95, .9 ... 0; empty where positives or negatives are missing."""
    if truth.all() or not truth.any():
        return []
    thresholds = np.quantile(scores[~truth], np.linspace(1, 0, 21), method="higher")
    found = [float((scores[truth] > threshold).mean()) for threshold in thresholds[:-1]]
    return [round(value, 4) for value in [*found, 1.0]]


def precision_recall(scores: Floats, truth: Truth) -> list[float]:
    """Precisions at sensitivities of at least .05, .1 ... 1; empty where positives or negatives are missing."""
    if truth.all() or not truth.any():
        return []
    positive = np.sort(scores[truth])[::-1]
    wanted = np.ceil(np.arange(1, 21) * len(positive) / 20).astype(int)  # so many must be found
    return [round(float(truth[scores >= positive[count - 1]].mean()), 4) for count in wanted]


def reliability(probabilities: Floats, truth: Truth) -> list[list[float]]:
    """For each of the bins that is not empty: the mean of what was said, the share that came true, the cases."""
    bins, found = np.minimum((probabilities * BINS).astype(int), BINS - 1), []
    for number in range(BINS):
        inside = bins == number
        if inside.any():
            said, true = float(probabilities[inside].mean()), float(truth[inside].mean())
            found.append([round(said, 4), round(true, 4), int(inside.sum())])
    return found


def rounded(value: float) -> float | None:
    """Four decimals; None for NaN, which JSON does not have."""
    return None if np.isnan(value) else round(value, 4)


def _draws(count: int, seed: int) -> Iterator[Drawn]:
    rng = np.random.default_rng(seed)
    return (rng.integers(0, count, count) for _ in range(ROUNDS))


def _drawing(study: NDArray[Any], numbers: NDArray[Any]) -> Callable[[Drawn], Drawn]:
    """From places among `numbers` to the rows of those studies, as often as they were drawn."""
    parts = [np.flatnonzero(study == number) for number in numbers]
    return lambda drawn: np.concatenate([parts[place] for place in drawn])


def _ends(figure: Callable[[Drawn], float], draws: Iterable[Drawn]) -> list[float | None]:
    """Between which two values a figure lies in 95 of 100 draws."""
    found = [figure(drawn) for drawn in draws]
    low, high = np.nanquantile(found, [0.025, 0.975]) if not np.isnan(found).all() else (np.nan, np.nan)
    return [rounded(float(low)), rounded(float(high))]


def _share_right(predicted: Truth, truth: Truth) -> dict[str, float | None]:
    return {
        "sensitivity": rounded(float(predicted[truth].mean()) if truth.any() else float("nan")),
        "specificity": rounded(float((~predicted[~truth]).mean()) if (~truth).any() else float("nan")),
    }


AS_IT_IS: Final = "as it is"

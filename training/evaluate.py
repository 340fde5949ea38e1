"""What is measured: log loss, AUC, sensitivity and specificity of every label, and the baseline that counts pixels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.common.labels import LABELS, Label

Floats = NDArray[np.float32]
Truth = NDArray[np.bool_]
LOSS_WEIGHTS = np.array([2, 1, 1, 1, 1, 1]) / 7


def auc(scores: NDArray[Any], truth: Truth) -> float:
    """Chance that a positive scores above a negative, ties counting half; NaN where either is missing."""
    positive, negative = scores[truth], np.sort(scores[~truth])
    if not len(positive) or not len(negative):
        return float("nan")
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(below.mean() / (2 * len(negative)))


def log_loss(probabilities: Floats, truth: Truth) -> float:
    """Mean binary cross-entropy, probabilities kept within 1e-6 of 0 and 1."""
    kept = np.clip(probabilities.astype(np.float64), 1e-6, 1 - 1e-6)
    return float(-np.where(truth, np.log(kept), np.log(1 - kept)).mean())


def measure(
    probabilities: Floats, truth: Truth, certain: Truth, thresholds: Mapping[str, Mapping[Label, float]]
) -> dict[str, Any]:
    """Figures of every label at one level, (m, 6) arrays; `thresholds` by operating point and label."""
    result: dict[str, Any] = {}
    for column, label in enumerate(LABELS):
        known = certain[:, column]
        scores, true = probabilities[known, column], truth[known, column]
        result[label] = {
            "positives": int(true.sum()),
            "negatives": int((~true).sum()),
            "auc": _rounded(auc(scores, true)),
            "log_loss": _rounded(log_loss(scores, true)),
        } | {point: _at(scores, true, levels[label]) for point, levels in thresholds.items()}
    losses = [result[label]["log_loss"] or float("nan") for label in LABELS]
    result["weighted_log_loss"] = _rounded(float(LOSS_WEIGHTS @ losses))
    return result


def auc_interval(
    scores: Sequence[NDArray[Any]], truth: Sequence[Truth], *, rounds: int = 300, seed: int = 0
) -> list[float | None]:
    """95 % interval of the AUC when whole studies are drawn again (bootstrap)."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(rounds):
        chosen = rng.integers(0, len(scores), len(scores))
        value = auc(np.concatenate([scores[i] for i in chosen]), np.concatenate([truth[i] for i in chosen]))
        found.append(value)
    low, high = np.nanquantile(found, [0.025, 0.975])
    return [_rounded(float(low)), _rounded(float(high))]


def _at(scores: Floats, truth: Truth, threshold: float) -> dict[str, float | None]:
    predicted = scores > threshold
    return {
        "sensitivity": _rounded(float(predicted[truth].mean()) if truth.any() else float("nan")),
        "specificity": _rounded(float((~predicted[~truth]).mean()) if (~truth).any() else float("nan")),
    }


def _rounded(value: float) -> float | None:
    # JSON has no NaN
    return None if np.isnan(value) else round(value, 4)

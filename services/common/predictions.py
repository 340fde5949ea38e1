"""The rule that turns probabilities into predictions: the only place that compares with thresholds in serving.

A subtype is present where its probability exceeds its threshold. `any` is present where its own does, or where a
subtype is present. In a series a slice's label is present only where the series' label is present, too. Slices sent
alone have no such limit. A series of one slice is its slice: it takes the slice's probabilities and thresholds.

Predictions are monotone: a lower threshold never makes a label absent, of a slice or of its series.
"""

from collections.abc import Mapping
from typing import Final

from services.common.labels import LABELS, Label

PREDICTION_RULE: Final = (
    "A subtype is present where its probability exceeds its threshold; `any` where its own does or a subtype is "
    "present. In a series a slice's label is present only where the series' label is."
)


def predict(
    probabilities: Mapping[Label, float],
    thresholds: Mapping[Label, float],
    *,
    series: Mapping[Label, bool] | None = None,
) -> dict[Label, bool]:
    """Which labels are present.

    Parameters
    ----------
    probabilities : of a series, or of a slice
    thresholds : of the same level
    series : for a slice of a series, the predictions of that series
    """
    above = {label: probabilities[label] > thresholds[label] and (series is None or series[label]) for label in LABELS}
    return above | {"any": any(above.values())}

"""Predictions from probabilities: the only comparison with thresholds in serving.

A subtype is present where its probability exceeds its threshold. `any` is present where its probability exceeds its
threshold, or where a subtype is present. In a series, a slice's label is present only where the series' label is
present. Independent slices have no such limit. A series of one slice takes the probabilities and thresholds of its
slice.

Predictions are monotone: a lower threshold never makes a label absent, for a slice or for its series.
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
    """The presence of each label.

    Parameters
    ----------
    probabilities : of a series or a slice
    thresholds : of the same level
    series : for a slice of a series, the predictions of the series
    """
    above = {label: probabilities[label] > thresholds[label] and (series is None or series[label]) for label in LABELS}
    return above | {"any": any(above.values())}

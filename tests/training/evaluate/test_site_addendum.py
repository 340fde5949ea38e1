"""Counts and rates of an evaluation on a site's files."""

import numpy as np

from services.common.labels import LABELS
from services.common.operating_points import Thresholds
from training.evaluate.bundle_on_files import LabelledSeries, PredictedSeries, site_metrics
from training.evaluate.site_addendum import site_figures

EVEN = dict.fromkeys(LABELS, 0.5)
POINTS = {"default": Thresholds(slice=EVEN, series=EVEN)}


def _series(patient: str, *, score: float, truth: bool | None) -> PredictedSeries:
    """Two slices with one score for every label."""
    row = (truth,) * len(LABELS)
    scores = np.full((2, 6), score, np.float32)
    return PredictedSeries(scores, scores[0], LabelledSeries((row, row), row, patient))


def test_series_and_slices_are_counted_where_the_label_is_known() -> None:
    predicted = [
        _series("a", score=0.9, truth=True),
        _series("b", score=0.1, truth=True),
        _series("c", score=0.9, truth=False),
        _series("d", score=0.1, truth=False),
        _series("e", score=0.1, truth=False),
        _series("f", score=0.9, truth=None),
    ]
    found = site_figures(predicted, POINTS, site_metrics(predicted, POINTS))  # type: ignore[arg-type] # one point
    counts = found.series["subdural"].points["default"]
    assert (counts.tp, counts.fn, counts.fp, counts.tn) == (1, 1, 1, 2)
    assert (found.slice["subdural"].positives, found.slice["subdural"].negatives) == (4, 6)
    assert counts.sensitivity is not None
    assert counts.sensitivity.value == 0.5


def test_rates_without_cases_are_unknown() -> None:
    predicted = [_series("a", score=0.9, truth=True), _series("b", score=0.8, truth=True)]
    found = site_figures(predicted, POINTS, site_metrics(predicted, POINTS))  # type: ignore[arg-type] # one point
    assert found.series["any"].points["default"].specificity is None
    assert found.series["any"].auc is None

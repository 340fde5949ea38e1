"""The `metrics` of a bundle's card: figures by slice and by series, baselines beside them, and shifted phantoms."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.common.labels import LABELS
from services.common.operating_points import Points
from training.data.series import Series
from training.evaluate.apply_thresholds import predict_studies, reported_series
from training.evaluate.metrics import (
    ScoredLabels,
    auc,
    auc_loss,
    aucs,
    calibration_error,
    chance_calibration_error,
    interval,
    log_loss,
    measure,
    precision_recall,
    reliability,
    roc,
    rounded,
)
from training.evaluate.predictions import (
    Predict,
    Prediction,
    Predictors,
    StudyFeatures,
    TwinStudies,
    lengths_of,
    predict_by_count,
    score_levels,
)
from training.phantom.study_options import Shift

TEST_SET: Final = "synthetic phantoms: the fixed set of training/evaluate/test_set.py"


def phantom_metrics(
    predictors: Predictors, tested: Sequence[StudyFeatures], shifted: Mapping[Shift, TwinStudies], points: Points
) -> dict[str, Any]:
    """Metrics of a bundle of phantoms, on studies that no network was trained on."""
    studies = [study.series for study in tested]
    counts = {
        "pixels from 50 to 100 HU": [predict_by_count(study.bright) for study in tested],
        "area of the brain": [predict_by_count(study.brain) for study in tested],
    }
    slices, series = score_levels(studies, predictors.bundle(studies))
    twins = {shift: _scored(predictors.bundle, pairs.twins) for shift, pairs in shifted.items()}
    return {
        "data": TEST_SET,
        **level_metrics(slices, series, lengths_of(studies), points),
        "beside": beside(studies, {name: other(studies) for name, other in predictors.others.items()} | counts),
        "shifted": {
            shift: _shifted(_scored(predictors.bundle, pairs.shifted), twins[shift][0], slices)
            for shift, pairs in shifted.items()
        },
        "with_twins": _calibration([series, *(by_series for _, by_series in twins.values())]),
    }


def level_metrics(slices: ScoredLabels, series: ScoredLabels, lengths: Sequence[int], points: Points) -> dict[str, Any]:
    """Metrics by slice and by series; `lengths` holds the number of slices of each series."""
    reported = reported_series(slices, series, lengths)
    predicted = {point: predict_studies(slices.scores, series.scores, lengths, at) for point, at in points.items()}
    return {
        "studies": len(reported.scores),
        "slices": len(slices.scores),
        "slice": measure(slices, {point: rows.slice for point, rows in predicted.items()}),
        "series": measure(reported, {point: rows.series for point, rows in predicted.items()}),
        "middle_slice_auc": aucs(slices.at(middle_slices(lengths))),
        "healthy_slices_median_any": _healthy_median(slices),
        "curves": {"slice": _curves(slices), "series": _curves(reported)},
    }


def beside(studies: Sequence[Series], others: Mapping[str, Sequence[Prediction]]) -> dict[str, Any]:
    """AUCs of other predictors by slice, by series, and by slice of the middle half of each study."""
    middle = middle_slices(lengths_of(studies))
    found = {}
    for name, predictions in others.items():
        slices, series = score_levels(studies, predictions)
        found[name] = {"slice": aucs(slices), "series": aucs(series), "middle_slice": aucs(slices.at(middle))}
    return found


def middle_slices(lengths: Sequence[int]) -> NDArray[np.bool_]:
    """Whether each of all slices lies in the middle half of its study, (m,)."""
    return np.concatenate([np.abs((np.arange(length) + 0.5) / length - 0.5) <= 0.25 for length in lengths])  # noqa: PLR2004 - a quarter on either side


def _shifted(scored: tuple[ScoredLabels, ScoredLabels], twins: ScoredLabels, usual: ScoredLabels) -> dict[str, Any]:
    """Metrics under one shift: `drop` compares with the usual studies, `lost` with the twins without the shift."""
    slices, series = scored
    lost, lost_interval = auc_loss(twins, slices)
    drop = auc(*usual.of(0)[:2]) - auc(*slices.of(0)[:2])
    return {
        "slice_auc": aucs(slices),
        "series_auc": aucs(series),
        "any_slice_auc_95_interval": interval(auc, *slices.of(0)),
        "any_slice_auc_drop": rounded(drop),
        "any_slice_auc_lost": lost,
        "any_slice_auc_lost_95_interval": lost_interval,
        "healthy_slices_median_any": _healthy_median(slices),
    }


def _calibration(parts: Sequence[ScoredLabels]) -> dict[str, Any]:
    """Calibration of `any` over the usual series and the twins, which differ from them by their seeds alone."""
    scores, truth = (np.concatenate(column) for column in zip(*(part.of(0)[:2] for part in parts), strict=True))
    return {
        "series": len(scores),
        "calibration_error": rounded(calibration_error(scores, truth)),
        "chance_calibration_error": rounded(chance_calibration_error(scores)),
        "log_loss": rounded(log_loss(scores, truth)),
    }


def _scored(predict: Predict, tested: Sequence[StudyFeatures]) -> tuple[ScoredLabels, ScoredLabels]:
    studies = [study.series for study in tested]
    return score_levels(studies, predict(studies))


def _healthy_median(slices: ScoredLabels) -> float | None:
    scores, truth, _ = slices.of(0)
    return rounded(float(np.median(scores[~truth]))) if not truth.all() else None


def _curves(scored: ScoredLabels) -> dict[str, Any]:
    """ROC, precision-recall and reliability curve of every label."""
    curves = {"roc": roc, "precision_recall": precision_recall, "reliability": reliability}
    return {
        label: {name: curve(*scored.of(column)[:2]) for name, curve in curves.items()}
        for column, label in enumerate(LABELS)
    }

"""A bundle as the services run it: measured on phantoms, and its predictions for real series."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.common.card import open_bundle
from services.common.labels import LABELS
from training.data.pictures import count_baselines, log_progress
from training.data.series import Series
from training.evaluate.card_metrics import phantom_metrics
from training.evaluate.labelled_files import site_files
from training.evaluate.metrics import SINGLE_SLICES, rounded
from training.evaluate.predictions import Prediction, Predictors, StudyFeatures, TwinStudies
from training.evaluate.served_bundle import ServedBundle
from training.evaluate.service_inputs import service_inputs
from training.evaluate.test_set import SHIFTED, TEST, twins
from training.phantom.study_options import Shift, StudyRequest


def measure_bundle(
    folder: Path, tested: Sequence[StudyRequest] = TEST, shifted: Mapping[Shift, Sequence[StudyRequest]] = SHIFTED
) -> dict[str, Any]:
    """The same metrics as the card's, from the bundle's two SavedModels.

    Raises
    ------
    BundleError
        the folder holds no bundle whose files match its card
    """
    with ServedBundle(open_bundle(folder)) as served:
        return phantom_metrics(
            served_predictors(served),
            served_features(served, tested, "phantoms to measure on"),
            {
                shift: TwinStudies(
                    served_features(served, wanted, f"shifted: {shift}"),
                    served_features(served, twins(wanted), f"twins: {shift}"),
                )
                for shift, wanted in shifted.items()
            },
            served.card.thresholds,
        )


def served_predictors(served: ServedBundle) -> Predictors:
    """Predictors by a bundle's RNN."""

    def predict(studies: Sequence[Series]) -> list[Prediction]:
        return [served.predict(study.features, study.position_mm) for study in studies]

    def predict_single_slices(studies: Sequence[Series]) -> list[Prediction]:
        return [served.predict_single_slices(study.features) for study in studies]

    return Predictors(predict, {SINGLE_SLICES: predict_single_slices})


def served_features(served: ServedBundle, wanted: Sequence[StudyRequest], name: str) -> list[StudyFeatures]:
    """Features of phantoms by a bundle's CNN; keeps no pictures."""
    found = []
    for made in log_progress(service_inputs(wanted), total=len(wanted), name=name):
        series = Series(served.features(made.slices), made.position_mm, made.labels, made.label_mask)
        found.append(StudyFeatures(series, *count_baselines(made.slices)))
    return found


def predict_real(folder: Path, files: Path) -> list[dict[str, Any]]:
    """A bundle's predictions for each series in a folder of DICOM files, without identifiers.

    Labels are those of the operating point `default`. Series that the services refuse are predicted, too.
    """
    with ServedBundle(open_bundle(folder)) as served:
        found = served.read_series(site_files(files))
        predictions = [served.predict_series(found.files, header, refuse=False) for header in found.headers.series]
        return [_summary(served, prediction) for prediction in predictions if prediction]


def _summary(served: ServedBundle, prediction: Prediction) -> dict[str, Any]:
    slices, series = prediction
    reported = slices[0] if len(slices) == 1 else series
    labels = served.labels_of(prediction)
    return {
        "slices": len(slices),
        "median_any": rounded(float(np.median(slices[:, 0]))),
        "series": {label: rounded(float(value)) for label, value in zip(LABELS, reported, strict=True)},
        "series_called": [label for label, present in zip(LABELS, labels.series[0], strict=True) if present],
        "slices_called": {label: int(labels.slice[:, column].sum()) for column, label in enumerate(LABELS)},
    }

"""A bundle as the services run it: measured on phantoms, and asked about a real series."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.cnn.extractor import FeatureExtractor
from services.cnn.model import SavedModelExtractor
from services.common.card import Bundle, open_bundle
from services.common.labels import LABELS
from services.common.slabs import plan_series
from services.preprocess.pipeline import Pipeline
from services.rnn.model import SavedModelScorer
from training.data.pictures import BRAIN_HU, BRIGHT_HU, count_inside
from training.data.series import Series
from training.evaluate.metrics import ALONE, rounded
from training.evaluate.predictions import Answer, Predictors, StudyFeatures, TwinStudies, figures
from training.evaluate.served_series import made_in_turn, score_by_slice
from training.evaluate.service_inputs import service_inputs
from training.evaluate.test_set import SHIFTED, TEST, twins
from training.evaluate.thresholding import predict_studies
from training.io.pool import cores
from training.phantom.study_options import Shift, StudyRequest

LOG = logging.getLogger(__name__)
CHUNK: Final = 16  # slices of one call, as the gateway sends them


def measure_bundle(
    folder: Path, tested: Sequence[StudyRequest] = TEST, shifted: Mapping[Shift, Sequence[StudyRequest]] = SHIFTED
) -> dict[str, Any]:
    """The same figures as the card's, from the bundle's two SavedModels.

    Raises
    ------
    BundleError
        the folder is no bundle, or its files are not those of its card
    """
    bundle = open_bundle(folder)
    extractor, scorer = services_of(bundle)

    def ask(studies: Sequence[Series]) -> list[Answer]:
        return [scorer.score(study.features, study.position_mm) for study in studies]

    return figures(
        Predictors(ask, {ALONE: lambda studies: [one_by_one(scorer, study.features) for study in studies]}),
        cases_of(extractor, tested, "phantoms to measure on"),
        {
            shift: TwinStudies(
                cases_of(extractor, every, f"shifted: {shift}"), cases_of(extractor, twins(every), f"twins: {shift}")
            )
            for shift, every in shifted.items()
        },
        bundle.card.thresholds,
    )


def ask_of_real(folder: Path, files: Path) -> list[dict[str, Any]]:
    """What a bundle says of each series in a folder of DICOM files, at its default operating point. No identifiers."""
    bundle = open_bundle(folder)
    extractor, scorer = services_of(bundle)
    data = [path.read_bytes() for path in sorted(files.rglob("*")) if path.is_file()]
    with Pipeline(bundle.card.recipe, cores()) as pipeline:
        every = pipeline.read_headers(data, [len(file) for file in data]).series
        plans = [plan_series(series, bundle.card) for series in every]
        made = [
            np.concatenate([part.slices for part in made_in_turn(pipeline, series, plan, data.__getitem__)])
            for series, plan in zip(every, plans, strict=True)
        ]
    return [
        _said(bundle, score_by_slice(scorer.score, features_of(extractor, slices), series, plan))
        for series, plan, slices in zip(every, plans, made, strict=True)
    ]


def services_of(bundle: Bundle) -> tuple[SavedModelExtractor, SavedModelScorer]:
    """What the cnn service and the rnn service have of a bundle."""
    return SavedModelExtractor(bundle.saved_model("cnn")), SavedModelScorer(bundle.saved_model("rnn"))


def cases_of(extractor: FeatureExtractor, wanted: Sequence[StudyRequest], name: str) -> list[StudyFeatures]:
    """Studies with their features; pictures are let go of at once."""
    found, start = [], time.monotonic()
    for done, sent in enumerate(service_inputs(wanted), 1):
        series = Series(features_of(extractor, sent.slices), sent.position_mm, sent.labels, sent.label_mask)
        bright, brain = (
            np.array([count_inside(slice_, between) for slice_ in sent.slices], np.int32)
            for between in (BRIGHT_HU, BRAIN_HU)
        )
        found.append(StudyFeatures(series, bright, brain))
        if done % max(len(wanted) // 10, 1) == 0 or done == len(wanted):
            left = (time.monotonic() - start) / done * (len(wanted) - done)
            LOG.info("%s: %d of %d studies, %.0f s left", name, done, len(wanted), left)
    return found


def features_of(extractor: FeatureExtractor, slices: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Feature vectors (n, d) of slices (n, 512, 512, 3), a few in a call."""
    parts = [extractor.extract(slices[start : start + CHUNK])["features"] for start in range(0, len(slices), CHUNK)]
    return np.concatenate(parts)


def one_by_one(scorer: SavedModelScorer, features: NDArray[np.float32]) -> Answer:
    """What is said of slices (n, d) that are sent as a series each; the series has the largest of their answers."""
    nowhere = np.zeros(1, np.float32)
    every = np.concatenate([scorer.score(row[None], nowhere)[0] for row in features])
    return every, every.max(axis=0)


def _said(bundle: Bundle, given: Answer) -> dict[str, Any]:
    slices, series = given
    whole = slices if len(slices) == 1 else series[None]
    predicted = predict_studies(slices, whole, [len(slices)], bundle.card.thresholds["default"])
    return {
        "slices": len(slices),
        "median_any": rounded(float(np.median(slices[:, 0]))),
        "series": {label: rounded(float(value)) for label, value in zip(LABELS, whole[0], strict=True)},
        "series_called": [label for label, present in zip(LABELS, predicted.series[0], strict=True) if present],
        "slices_called": {label: int(predicted.slice[:, column].sum()) for column, label in enumerate(LABELS)},
    }

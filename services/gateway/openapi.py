"""Responses of predictions and models in the OpenAPI document, with an example of each."""

from typing import Any, Final

from services.common.labels import LABELS, Label
from services.common.problem_schemas import openapi_problem
from services.common.problems import Overloaded
from services.common.version import VERSION
from services.gateway.report import DISCLAIMER, finding
from services.gateway.responses import (
    INVALID_PARAMETER,
    INVALID_UPLOAD,
    UNAUTHORIZED,
    UNSUPPORTED_UPLOADS,
    UPLOAD_TOO_LARGE,
    multipart_body,
)
from services.gateway.stage_client import StageBusy, StageFailed, StageTimeout
from services.gateway.upload_problems import (
    MixedSeries,
    NotACtSlice,
    UnsupportedFile,
    UnusableFiles,
    bad_file,
    bad_files,
    conflicting_instances,
)

PREDICTION_BODY: Final = multipart_body(
    "one DICOM slice, the slices of one series, a zip of them (or of zips), or PNG pictures"
)

_PROBABILITIES: Final[dict[Label, float]] = {**dict.fromkeys(LABELS, 0.02), "any": 0.97, "intraparenchymal": 0.96}
_THRESHOLDS: Final = dict.fromkeys(LABELS, 0.5)
_PREDICTIONS: Final = {label: _PROBABILITIES[label] > _THRESHOLDS[label] for label in LABELS}
_REPORT: Final[dict[str, Any]] = {
    "id": "2f1c5b0d6f7a4c0e9b1d3a5c7e9f0a1b",
    "status": "assessed",
    "created": "2026-02-03T10:20:30.405Z",
    "version": VERSION,
    "reasons": [{"code": "resampled", "detail": "The slices are 256 x 256 and were resampled.", "severity": "note"}],
    "series": {
        "study_instance_uid": "2.25.1",
        "series_instance_uid": "2.25.2",
        "slices": 1,
        "probabilities": _PROBABILITIES,
        "predictions": _PREDICTIONS,
    },
    "slices": [
        {
            "index": 0,
            "file": "slice.dcm",
            "sop_instance_uid": "2.25.3",
            "position_mm": 0.0,
            "probabilities": _PROBABILITIES,
            "predictions": _PREDICTIONS,
            "image": None,
        }
    ],
    "findings": [finding(label, _PREDICTIONS[label], _PROBABILITIES[label]) for label in LABELS],
    "key_slices": [0],
    "model": {"name": "default", "sha256": "9f86d081...", "recipe": "fcbe341fbbbc"},
    "thresholds": {
        "operating_point": "default",
        "slice": _THRESHOLDS,
        "series": _THRESHOLDS,
    },
    "timings_ms": {"upload": 3.1, "preprocess": 4.2, "cnn": 21.0, "rnn": 1.5, "total": 38.7},
    "disclaimer": DISCLAIMER,
}
_NOT_ASSESSED: Final[dict[str, Any]] = {
    **_REPORT,
    "status": "not_assessed",
    "reasons": [{"code": "not_a_head", "detail": "The pixels do not look like a head.", "severity": "refuse"}],
    "evidence": {
        "slices_read": 1,
        "constant_slices": 0,
        "bone": 0.1204,
        "brain": 0.0011,
        "air": 0.7312,
        "metal": 0.0,
        "air_hu": -998.0,
        "thickness_mm": 5.0,
        "spacing_mm": None,
        "length_mm": 0.0,
    },
    "series": {**_REPORT["series"], "probabilities": None, "predictions": None},
    "slices": [{**_REPORT["slices"][0], "probabilities": None, "predictions": None}],
    "findings": [],
    "key_slices": [],
}

STAGE_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    502: openapi_problem(StageFailed("cnn cannot be reached", stage="cnn")),
    503: openapi_problem(StageBusy("cnn takes no more work now", stage="cnn")),
    504: openapi_problem(StageTimeout("cnn did not answer in time", stage="cnn")),
}
PREDICTION_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The report; `not_assessed` where a rule of refusal stands",
        "content": {
            "application/json": {"examples": {"assessed": {"value": _REPORT}, "not_assessed": {"value": _NOT_ASSESSED}}}
        },
    },
    400: INVALID_UPLOAD,
    401: UNAUTHORIZED,
    413: UPLOAD_TOO_LARGE,
    415: openapi_problem(bad_files(UnsupportedFile, [bad_file("notes.txt", "not_dicom")]), *UNSUPPORTED_UPLOADS),
    422: openapi_problem(
        bad_files(UnusableFiles, [bad_file("IM0007.dcm", "truncated")]),
        bad_files(NotACtSlice, [bad_file("scout.dcm", "not_a_ct_slice")]),
        conflicting_instances(["IM0001.dcm", "IM0001 (copy).dcm"]),
        MixedSeries(
            "2 series were sent; send one at a time",
            best={
                "series_instance_uid": "2.25.4",
                "why": "soft kernel, 5 mm, 2 slices, plain; before the next one ...",
            },
            series=[
                {"series_instance_uid": "2.25.2", "slices": 1, "files": ["IM0001.dcm"]},
                {"series_instance_uid": "2.25.4", "slices": 2, "files": ["IM0002.dcm", "IM0003.dcm"]},
            ],
        ),
    ),
    **STAGE_ANSWERS,
    503: openapi_problem(
        StageBusy("cnn takes no more work now", stage="cnn"),
        Overloaded("the gateway works on as many slices as it takes; send it again later"),
    ),
}
MODEL_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The card",
        "content": {
            "application/json": {
                "examples": {
                    "default": {
                        "value": {
                            "sha256": "9f86d081...",
                            "operating_point": "default",
                            "card": {
                                "name": "default",
                                "description": "Learnt from synthetic phantoms only; not for real patients. ...",
                                "labels": LABELS,
                                "feature_size": 138,
                                "thresholds": {"default": {"slice": _THRESHOLDS, "series": _THRESHOLDS}},
                                "limits_of_use": ["Research software, not a medical device; ..."],
                            },
                        }
                    }
                }
            }
        },
    },
    400: INVALID_PARAMETER,
    **STAGE_ANSWERS,
}


def mark_key_optional(document: dict[str, Any]) -> None:
    """Say that calls need no key, where no file of keys is named."""
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    for operation in operations:
        if security := operation.get("security"):
            security.append({})

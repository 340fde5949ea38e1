"""Examples of reports and of the served model in the OpenAPI document."""

from typing import Any, Final

from services.common.disclaimer import DISCLAIMER
from services.common.labels import LABELS, Label
from services.common.version import VERSION
from services.gateway.report import finding

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

EXAMPLE_REPORTS: Final[dict[str, Any]] = {"assessed": {"value": _REPORT}, "not_assessed": {"value": _NOT_ASSESSED}}
EXAMPLE_MODEL: Final[dict[str, Any]] = {
    "sha256": "9f86d081...",
    "operating_point": "default",
    "card": {
        "name": "default",
        "description": "Trained on synthetic phantoms only; not for real patients. ...",
        "labels": LABELS,
        "feature_size": 138,
        "thresholds": {"default": {"slice": _THRESHOLDS, "series": _THRESHOLDS}},
        "limits_of_use": ["Research software, not a medical device; ..."],
    },
}

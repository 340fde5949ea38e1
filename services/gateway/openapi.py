"""What the OpenAPI document says beside types: the multipart body, and an example of every answer."""

from typing import Any, Final

from services.common.labels import LABELS, Label
from services.common.problem_schemas import problem_answer
from services.common.problems import (
    MalformedRequest,
    NotAcceptable,
    Overloaded,
    PayloadTooLarge,
    UnsupportedMedia,
)
from services.common.version import VERSION
from services.gateway.archives import BadArchive
from services.gateway.faults import (
    MixedSeries,
    NotACtSlice,
    RefusedFile,
    UnsupportedFile,
    UnusableFiles,
    bad_file,
    bad_files,
    conflicting_instances,
    refused_files,
)
from services.gateway.form import FORM_FIELD, UnknownField, UnsupportedEncoding
from services.gateway.jobs.api_keys import Unauthorized
from services.gateway.jobs.idempotency import IdempotencyConflict
from services.gateway.jobs.job import job_not_found
from services.gateway.jobs.scheduler import QueueUnavailable
from services.gateway.jobs.schemas import JobDocument
from services.gateway.query import RepeatedParameter, UnknownParameter
from services.gateway.report import DISCLAIMER, finding
from services.gateway.spool import SpoolFull
from services.gateway.stage_client import StageBusy, StageFailed, StageSlow
from services.gateway.unpacking import UnsupportedArchive

_LOCATION: Final = {"description": "the job's address", "schema": {"type": "string"}}


def _body(words: str) -> dict[str, Any]:
    """A multipart body of files."""
    files = {"type": "array", "items": {"type": "string", "format": "binary"}, "description": words}
    schema = {"type": "object", "required": [FORM_FIELD], "properties": {FORM_FIELD: files}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


_NO_FILE_PART: Final = refused_files(
    UnknownField,
    [RefusedFile("part 2", UnknownField.code, "the form field 'note' is not known here")],
)
_UNSUPPORTED: Final = (
    refused_files(
        UnsupportedArchive,
        [RefusedFile("study.zip/more.tar", UnsupportedArchive.code, "a tar archive; only zip is unpacked")],
    ),
    UnsupportedEncoding("the body has Content-Encoding gzip, and is not decoded here; send it as it is"),
)
PREDICTION_BODY: Final = _body("one DICOM slice, the slices of one series, a zip of them (or of zips), or PNG pictures")
JOB_BODY: Final = _body("any number of DICOM, PNG and zip files, of any number of patients, studies and series")

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


_TOO_LARGE: Final = [{"file": "study.zip", "code": "too_large", "reason": "the zip unpacks to more than is taken here"}]
_DAMAGED: Final = [{"file": "study.zip", "code": BadArchive.code, "reason": "the zip is damaged"}]


_MISSPELT: Final = "unknown query parameter 'operating_piont'; did you mean 'operating_point'?"
_BAD_QUERY: Final = (
    UnknownParameter(_MISSPELT, fields=[{"field": "query.operating_piont", "reason": _MISSPELT}]),
    RepeatedParameter("query parameter 'images' is given 2 times; give it once"),
)
_WRONG_PARAMETER: Final = problem_answer(
    MalformedRequest("query.limit: Input should be greater than or equal to 1"), *_BAD_QUERY
)
STAGE_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    502: problem_answer(StageFailed("cnn cannot be reached", stage="cnn")),
    503: problem_answer(StageBusy("cnn takes no more work now", stage="cnn")),
    504: problem_answer(StageSlow("cnn did not answer in time", stage="cnn")),
}
_UNAUTHORIZED: Final = problem_answer(
    Unauthorized("send the header 'Authorization: Bearer KEY' with a key that this gateway knows")
)
PREDICTION_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The report; `not_assessed` where a rule of refusal stands",
        "content": {
            "application/json": {"examples": {"assessed": {"value": _REPORT}, "not_assessed": {"value": _NOT_ASSESSED}}}
        },
    },
    400: problem_answer(MalformedRequest("the multipart body is broken"), _NO_FILE_PART, *_BAD_QUERY),
    401: _UNAUTHORIZED,
    413: problem_answer(PayloadTooLarge("study.zip: the zip unpacks to more than is taken here.", files=_TOO_LARGE)),
    415: problem_answer(bad_files(UnsupportedFile, [bad_file("notes.txt", "not_dicom")]), *_UNSUPPORTED),
    422: problem_answer(
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
    503: problem_answer(
        StageBusy("cnn takes no more work now", stage="cnn"),
        Overloaded("the gateway works on as many slices as it takes; send it again later"),
    ),
}
NO_JOB: Final[dict[int | str, dict[str, Any]]] = {
    400: _WRONG_PARAMETER,
    401: _UNAUTHORIZED,
    404: problem_answer(job_not_found()),
}
JOB_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    **{status: PREDICTION_ANSWERS[status] for status in (400, 401, 413)},
    202: {"description": "Accepted: files and manifest are safely on disk", "headers": {"Location": _LOCATION}},
    409: problem_answer(
        IdempotencyConflict(
            "the key belongs to an earlier request: its priority is routine, not urgent; repeat that request ...",
            differences=[{"what": "priority", "first": "routine", "now": "urgent"}],
        )
    ),
    415: problem_answer(
        UnsupportedMedia("send multipart/form-data, with the files in the field 'files'"), *_UNSUPPORTED
    ),
    422: problem_answer(BadArchive("study.zip: the zip is damaged.", files=_DAMAGED)),
    503: problem_answer(
        QueueUnavailable("the queue is down or full; nothing was accepted"),
        SpoolFull("the disk that jobs are kept on is full; nothing was accepted"),
    ),
}
END_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": JobDocument, "description": "Cancelled: the files are removed, finished reports stay"},
    204: {"description": "Forgotten"},
    **NO_JOB,
}
_TEXT: Final = {"schema": {"type": "string"}}
_EVENT: Final = {  # as FastAPI describes events; OpenAPI 3.2 has taken the keyword up
    "type": "object",
    "properties": {
        "event": {"enum": ["progress", "end", "gone"]},
        "data": {"type": "string", "description": "the job's document in JSON; of `gone`, a problem's code"},
    },
}
EVENT_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "A `progress` event for each change of the job, then `end`, or `gone` where it was deleted",
        "content": {"text/event-stream": {"itemSchema": _EVENT}},
    },
    **NO_JOB,
}
_REPORTS: Final = (
    "Reports in the order of the series. `after`, ids and `index` count from 0; the column `series` of the CSV counts "
    "from 1, as the page does, and its column `report` has the id."
)
PAGE_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {400: _WRONG_PARAMETER, 401: NO_JOB[401]}
REPORT_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": _REPORTS, "content": {"application/x-ndjson": _TEXT, "text/csv": _TEXT}},
    **NO_JOB,
    406: problem_answer(NotAcceptable("reports are served as application/json, application/x-ndjson, text/csv; ...")),
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
    400: _WRONG_PARAMETER,
    **STAGE_ANSWERS,
}


def mark_key_optional(document: dict[str, Any]) -> None:
    """Say that calls need no key, where no file of keys is named."""
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    for operation in operations:
        if security := operation.get("security"):
            security.append({})

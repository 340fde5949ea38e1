"""Responses that the routes of predictions and the model declare in the OpenAPI document."""

from typing import Final

from services.common.problem_schemas import openapi_problem
from services.common.problems import Overloaded
from services.gateway.openapi_examples import EXAMPLE_MODEL, EXAMPLE_REPORTS
from services.gateway.responses import (
    INVALID_PARAMETER,
    INVALID_UPLOAD,
    SERIES_TOO_LARGE,
    TOO_MANY_UPLOADS,
    UNAUTHORIZED,
    UNSUPPORTED_UPLOADS,
    Responses,
    multipart_body,
)
from services.gateway.stages.stage_problems import StageBusy, StageFailed, StageTimeout
from services.gateway.uploads.upload_problems import (
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

_STAGE_RESPONSES: Final[Responses] = {
    502: openapi_problem(StageFailed("cnn cannot be reached", stage="cnn")),
    503: openapi_problem(StageBusy("cnn takes no more requests now", stage="cnn")),
    504: openapi_problem(StageTimeout("cnn did not answer in time", stage="cnn")),
}
PREDICTION_RESPONSES: Final[Responses] = {
    200: {
        "description": "The report; its status is `not_assessed` where a rule refuses the series",
        "content": {"application/json": {"examples": EXAMPLE_REPORTS}},
    },
    400: INVALID_UPLOAD,
    401: UNAUTHORIZED,
    413: SERIES_TOO_LARGE,
    415: openapi_problem(bad_files(UnsupportedFile, [bad_file("notes.txt", "not_dicom")]), *UNSUPPORTED_UPLOADS),
    422: openapi_problem(
        bad_files(UnusableFiles, [bad_file("IM0007.dcm", "truncated")]),
        bad_files(NotACtSlice, [bad_file("scout.dcm", "not_a_ct_slice")]),
        conflicting_instances(["IM0001.dcm", "IM0001 (copy).dcm"]),
        MixedSeries(
            "2 series were sent; send one at a time",
            best={
                "series_instance_uid": "2.25.4",
                "why": "soft kernel, 5 mm, 2 slices, plain; chosen over the next ...",
            },
            series=[
                {"series_instance_uid": "2.25.2", "slices": 1, "files": ["IM0001.dcm"]},
                {"series_instance_uid": "2.25.4", "slices": 2, "files": ["IM0002.dcm", "IM0003.dcm"]},
            ],
        ),
    ),
    429: TOO_MANY_UPLOADS,
    **_STAGE_RESPONSES,
    503: openapi_problem(
        StageBusy("cnn takes no more requests now", stage="cnn"),
        Overloaded("the gateway processes as many slices as it accepts; send the request again later"),
    ),
}
MODEL_RESPONSES: Final[Responses] = {
    200: {
        "description": "The card",
        "content": {"application/json": {"examples": {"default": {"value": EXAMPLE_MODEL}}}},
    },
    400: INVALID_PARAMETER,
    **_STAGE_RESPONSES,
}

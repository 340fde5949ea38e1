"""Responses that the routes of slices declare in the OpenAPI document."""

from typing import Any, Final

from services.common.file_codes import describe_file_code
from services.common.problem_schemas import openapi_problem
from services.common.problems import Overloaded
from services.gateway.jobs.attachments import NoReport
from services.gateway.jobs.job import job_not_found
from services.gateway.jobs.responses import GET_JOB
from services.gateway.openapi_examples import EXAMPLE_REPORTS
from services.gateway.responses import Responses
from services.gateway.slices.problems import (
    AmbiguousSlice,
    NoHounsfieldUnits,
    NoPicture,
    SliceUnavailable,
    no_files,
    unreadable,
)
from services.gateway.uploads.upload_problems import RefusedFile

_NO_REPORT: Final = NoReport("series 3 of this job has no report yet, or the job has no such series; ...")
_NO_SLICE: Final = (
    job_not_found(),
    _NO_REPORT,
    NoPicture("slice 99 has none: the series has slices 0 to 31"),
    no_files(),
    unreadable(RefusedFile("032.dcm", "corrupt_pixels", describe_file_code("corrupt_pixels"))),
    AmbiguousSlice("files of this series have equal names, and their headers do not tell which is which; ..."),
)
_AWAY: Final = openapi_problem(
    SliceUnavailable("preprocess cannot be reached; try again later", stage="preprocess", cause="stage_failed"),
    Overloaded("this client's share has no room: its other requests in progress have 170 slices, ..."),
)


def _picture(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    }


GET_REPORT: Final[Responses] = {
    200: {
        "description": "The report; where the series has failed, the problem in its place",
        "content": {"application/json": {"examples": EXAMPLE_REPORTS}},
    },
    **GET_JOB,
    404: openapi_problem(job_not_found(), _NO_REPORT),
}
GET_SLICE: Final[Responses] = {
    200: _picture(
        "The slice. Its text chunks give the way back as DICOM does: RescaleSlope 1, RescaleIntercept -32768."
    ),
    **GET_JOB,
    404: openapi_problem(*_NO_SLICE, NoHounsfieldUnits("the slice is an uploaded PNG of three windows: ...")),
    503: _AWAY,
}
GET_IMAGE: Final[Responses] = {200: _picture("The picture"), **GET_JOB, 404: openapi_problem(*_NO_SLICE), 503: _AWAY}

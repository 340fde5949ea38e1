"""Responses that the routes of feedback declare in the OpenAPI document."""

from typing import Final

from services.common.problem_schemas import openapi_problem
from services.common.problems import BadRequest, NotAcceptable
from services.gateway.feedback.problems import NoPrediction, NoSuchSlice, TooMuchFeedback
from services.gateway.jobs.attachments import NoReport
from services.gateway.jobs.job import job_not_found
from services.gateway.jobs.responses import GET_JOB, LIST_JOBS
from services.gateway.responses import CROSS_ORIGIN, INVALID_JSON, INVALID_QUERY, Responses
from services.gateway.uploads.spool import SpoolFull
from services.gateway.worklist.query import InvalidFilter

_NO_REPORT: Final = NoReport("series 3 of this job has no report yet, or the job has no such series; ...")
_TEXT: Final = {"schema": {"type": "string"}}
GET_FEEDBACK: Final[Responses] = {**GET_JOB, 404: openapi_problem(job_not_found(), _NO_REPORT)}
GIVE_FEEDBACK: Final[Responses] = {
    **GET_FEEDBACK,
    **INVALID_JSON,
    403: openapi_problem(CROSS_ORIGIN),
    404: openapi_problem(
        job_not_found(), _NO_REPORT, NoSuchSlice("the report has no slice 99: `index` of its slices counts from 0")
    ),
    409: openapi_problem(
        NoPrediction("the series is not assessed: there is nothing to agree or disagree with"),
        TooMuchFeedback("a job keeps 10000 opinions, with those that were replaced: export them, ..."),
    ),
    503: openapi_problem(SpoolFull("the disk of the jobs is full; nothing was accepted")),
}
EXPORT_FEEDBACK: Final[Responses] = {
    200: {
        "description": "With `rows=series` and `rows=slices` the CSV is a table of labels for `training evaluate`",
        "content": {"application/x-ndjson": _TEXT, "text/csv": _TEXT},
    },
    **LIST_JOBS,
    400: openapi_problem(
        InvalidFilter("from must be a date or time such as 2026-01-31 or 2026-01-31T08:00:00Z"),
        BadRequest("query.limit: Input should be less than or equal to 10000"),
        *INVALID_QUERY,
    ),
    406: openapi_problem(NotAcceptable("reports are served as application/json, application/x-ndjson, text/csv; ...")),
}
GET_AGREEMENT: Final[Responses] = {**LIST_JOBS}

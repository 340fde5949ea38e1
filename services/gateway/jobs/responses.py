"""Responses that the routes of jobs declare in the OpenAPI document."""

from typing import Any, Final

from services.common.problem_schemas import openapi_problem
from services.common.problems import NotAcceptable, Overloaded, UnsupportedMediaType
from services.gateway.jobs.attachments import NoBloodMap, NoReport
from services.gateway.jobs.events import TooManyListeners
from services.gateway.jobs.idempotency import IdempotencyConflict
from services.gateway.jobs.job import NOT_YOURS, JobEnded, NotYourJob, job_not_found
from services.gateway.jobs.pending_uploads import UploadAborted
from services.gateway.jobs.scheduler import QueueUnavailable
from services.gateway.jobs.schemas import JobDocument
from services.gateway.responses import (
    CROSS_ORIGIN,
    INVALID_JSON,
    INVALID_PARAMETER,
    INVALID_UPLOAD,
    TOO_MANY_UPLOADS,
    TOO_MANY_WRONG_KEYS,
    UNAUTHORIZED,
    UNSUPPORTED_UPLOADS,
    UPLOAD_TOO_LARGE,
    WRONG_KEYS,
    Responses,
    multipart_body,
)
from services.gateway.uploads.archives import BadArchive
from services.gateway.uploads.spool import SpoolFull

CREATE_JOB_BODY: Final = multipart_body(
    "any number of DICOM, PNG and zip files, of any number of patients, studies and series"
)
_LOCATION: Final = {"description": "address of the job", "schema": {"type": "string"}}
_TEXT: Final = {"schema": {"type": "string"}}
_EVENT: Final[dict[str, Any]] = {  # as FastAPI describes events; OpenAPI 3.2 has the keyword `itemSchema`
    "type": "object",
    "properties": {
        "event": {"enum": ["progress", "end", "gone"]},
        "data": {"type": "string", "description": "the job's document in JSON; for `gone`, a problem's code"},
    },
}
LIST_JOBS: Final[Responses] = {400: INVALID_PARAMETER, 401: UNAUTHORIZED, 429: TOO_MANY_WRONG_KEYS}
GET_JOB: Final[Responses] = {**LIST_JOBS, 404: openapi_problem(job_not_found())}
CHANGE_JOB: Final[Responses] = {**GET_JOB, 403: openapi_problem(NotYourJob(NOT_YOURS), CROSS_ORIGIN)}
PATCH_JOB: Final[Responses] = {
    **CHANGE_JOB,
    **INVALID_JSON,
    409: openapi_problem(JobEnded("all its series are done, or it was cancelled: its priority has no effect any more")),
}
CREATE_JOB: Final[Responses] = {
    400: INVALID_UPLOAD,
    401: UNAUTHORIZED,
    413: UPLOAD_TOO_LARGE,
    202: {"description": "Accepted: files and manifest are stored durably", "headers": {"Location": _LOCATION}},
    409: openapi_problem(
        IdempotencyConflict(
            "the key belongs to an earlier request: its priority is routine, not urgent; repeat that request ...",
            differences=[{"what": "priority", "first": "routine", "now": "urgent"}],
        )
    ),
    415: openapi_problem(
        UnsupportedMediaType("send multipart/form-data, with the files in the field 'files'"), *UNSUPPORTED_UPLOADS
    ),
    422: openapi_problem(
        BadArchive(
            "study.zip: the zip is damaged.",
            files=[{"file": "study.zip", "code": BadArchive.code, "reason": "the zip is damaged"}],
        )
    ),
    429: TOO_MANY_UPLOADS,
    503: openapi_problem(
        QueueUnavailable("Redis is down or full; nothing was accepted, send the job again later"),
        SpoolFull("the disk of the jobs is full; nothing was accepted"),
        UploadAborted("this gateway could not reach the storage of jobs for a while; send the job again"),
        Overloaded("192 uploads are in progress; send the request again later"),
    ),
}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
GET_BLOOD: Final[Responses] = {
    200: {"description": "The values", "content": {"application/octet-stream": _BINARY}},
    **GET_JOB,
    404: openapi_problem(
        job_not_found(),
        NoReport("series 3 of this job has no report yet, or the job has no such series; both count from 0"),
        NoBloodMap("the job keeps no blood maps; send the files in a new job with blood=true"),
    ),
}
DELETE_JOB: Final[Responses] = {
    200: {"model": JobDocument, "description": "Cancelled: the files are removed, finished reports stay"},
    204: {"description": "Deleted"},
    **CHANGE_JOB,
}
WATCH_JOB: Final[Responses] = {
    200: {
        "description": "A `progress` event for each change of the job, then `end`, or `gone` after its deletion",
        "content": {"text/event-stream": {"itemSchema": _EVENT}},
    },
    **GET_JOB,
    429: openapi_problem(
        TooManyListeners("64 are open; close one, or read the document or the list instead"), WRONG_KEYS
    ),
    503: openapi_problem(Overloaded("512 streams of events are open; read the document or the list instead")),
}
GET_REPORTS: Final[Responses] = {
    200: {
        "description": "Reports in the order of the series. `after`, ids and `index` count from 0. In the CSV, the "
        "column `series` counts from 1, as the page does, and the column `report` has the id.",
        "content": {"application/x-ndjson": _TEXT, "text/csv": _TEXT},
    },
    **GET_JOB,
    406: openapi_problem(NotAcceptable("reports are served as application/json, application/x-ndjson, text/csv; ...")),
}

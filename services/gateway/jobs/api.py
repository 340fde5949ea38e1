"""Routes of jobs: `/v1/jobs` and below."""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from typing import Annotated, BinaryIO, Final

from anyio import to_thread
from fastapi import Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from services.common.clients import Client
from services.common.identity.authentication import StillValid, authenticate, identify, requires, still_valid
from services.common.identity.principal import Principal
from services.common.operating_points import OperatingPoint
from services.gateway.jobs import responses
from services.gateway.jobs.attachments import open_blood
from services.gateway.jobs.events import EventStreams, job_update
from services.gateway.jobs.job import NOT_YOURS, Job, NotYourJob
from services.gateway.jobs.report_formats import (
    CSV,
    JSON,
    NDJSON,
    csv_lines,
    json_page,
    ndjson_lines,
    preferred_media_type,
    read_reports,
)
from services.gateway.jobs.schemas import JobChanges, JobDocument, JobPage, JobSource, JobStatus, Priority, ReportPage
from services.gateway.jobs.service import JobService
from services.gateway.jobs.store import JobOptions
from services.gateway.json_body import declared_body, json_body

_REPORTS_PER_PAGE: Final = 100
OCTET_STREAM: Final = "application/octet-stream"
_MAX_NUMBER: Final = 2**31 - 1
_PIECE_BYTES: Final = 256 * 1024
_VARY: Final = {"vary": "Accept"}


def job_service(request: Request) -> JobService:
    """The application's JobService, as a dependency."""
    service: JobService = request.app.state.jobs
    return service


Service = Annotated[JobService, Depends(job_service)]
Caller = Annotated[Principal, Depends(authenticate)]


def readable_job(job_id: str, request: Request, caller: Caller, service: Service) -> Job:
    """The job of a path, to be read, as a dependency; NotFound where the caller may read no such job."""
    job = service.store.find(job_id) if caller.reads_all else service.store.job(caller.id, job_id)
    request.state.owner = job.sender
    return job


ReadableJob = Annotated[Job, Depends(readable_job)]


def own_job(job: ReadableJob, caller: Caller) -> Job:
    """The job of a path, to be changed or deleted, as a dependency.

    Raises
    ------
    NotFound
        the caller may read no such job
    NotYourJob
        another sender has sent it
    """
    if job.sender != caller.id and not caller.is_admin:
        raise NotYourJob(NOT_YOURS)
    return job


OwnJob = Annotated[Job, Depends(own_job)]


async def create_job(  # noqa: PLR0913 - each is a parameter of the API
    *,
    request: Request,
    response: Response,
    service: Service,
    client: Annotated[Client, Depends(identify)],
    priority: Annotated[Priority, Query(description="urgent jobs are processed before all routine jobs")] = "routine",
    operating_point: Annotated[
        OperatingPoint | None, Query(description="thresholds of the predictions; default: the site's setting")
    ] = None,
    idempotency_key: Annotated[
        str | None, Header(max_length=255, description="repeating a request with its key gives the same job")
    ] = None,
    webhook: Annotated[
        str | None,
        Query(max_length=2000, description="address on this site's list; it gets a message at the job's end"),
    ] = None,
    blood: Annotated[
        bool | None,
        Query(description="keep the blood map of each series with the job; default: the site's setting `keep_blood`"),
    ] = None,
    key_images: Annotated[bool, Query(description="keep the pictures of each report's `key_slices`")] = False,
    source: Annotated[JobSource, Query(description="what sends the job, for the worklist")] = "upload",
) -> JobDocument:
    """The files and the manifest are stored durably before the response is sent."""
    point = await service.check_options(operating_point, webhook)
    options = JobOptions(client.sender, priority, point, idempotency_key, webhook, blood, key_images, source)
    options = replace(options, keep_blood=service.settings.keep_blood)
    job, _ = await service.accept(request, client, options)
    response.headers["location"] = f"/v1/jobs/{job.id}"
    return await to_thread.run_sync(service.document, job)


def delete_job(job: OwnJob, service: Service) -> JobDocument | Response:
    """A cancelled job keeps its finished reports until it is deleted."""
    return service.cancel_or_delete(job) or Response(status_code=204)


def change_job(
    job: OwnJob, service: Service, changes: Annotated[JobChanges, Depends(json_body(JobChanges))]
) -> JobDocument:
    """Waiting series move at once; a series in progress is finished first. The same request may be repeated."""
    return service.change_priority(job, changes.priority)


def list_jobs(
    caller: Caller,
    service: Service,
    before: Annotated[str | None, Query(pattern="^[0-9a-f]{1,64}$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    status: JobStatus | None = None,
) -> JobPage:
    """`next` of a page is the address of the page with older jobs."""
    return service.list_page(caller.id, before, limit, status)


def get_job(job: ReadableJob, service: Service) -> JobDocument:
    """Progress counts series and slices; `left_out` lists files that belong to no series."""
    return service.document(job)


def get_reports(
    request: Request,
    job: ReadableJob,
    after: Annotated[int, Query(ge=-1, description="number of the last series that was read, from 0")] = -1,
    limit: Annotated[
        int | None, Query(ge=1, le=1000, description="most reports; default: 100 as JSON, all as NDJSON or CSV")
    ] = None,
) -> Response:
    """A report appears as soon as its series is done, in the order of the series."""
    job.manifest()
    media_type = preferred_media_type(request.headers.getlist("accept"))
    if media_type == NDJSON:
        lines = ndjson_lines(read_reports(job, after, limit))
    elif media_type == CSV:
        lines = csv_lines(job, read_reports(job, after, limit))
    else:
        return Response(json_page(job, after, limit or _REPORTS_PER_PAGE), media_type=JSON, headers=_VARY)
    return StreamingResponse(lines, media_type=media_type, headers=_VARY)


SeriesNumber = Annotated[
    int, Path(ge=0, le=_MAX_NUMBER, description="number of the series, from 0, in the order of the reports")
]


def get_blood(job: ReadableJob, number: SeriesNumber) -> Response:
    """Little-endian float32, row-major; the report's member `blood` has shape, labels and grid."""
    return streamed_file(open_blood(job, number), OCTET_STREAM)


def streamed_file(file: BinaryIO, media_type: str) -> Response:
    """A response with a file's content, in pieces: slow readers hold no whole files in memory."""
    headers = {"content-length": str(os.fstat(file.fileno()).st_size)}
    return StreamingResponse(_pieces(file), media_type=media_type, headers=headers)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        yield from iter(partial(file.read, _PIECE_BYTES), b"")


def event_streams(request: Request) -> EventStreams:
    """The application's EventStreams, as a dependency."""
    events: EventStreams = request.app.state.events
    return events


Events = Annotated[EventStreams, Depends(event_streams)]


async def listen(events: Events, client: Annotated[Client, Depends(identify)]) -> AsyncIterator[None]:
    """A listener's place, until the end of the response; TooManyListeners and Overloaded are answered before it."""
    with events.listening(client):
        yield


async def watch_job(
    job: ReadableJob,
    service: Service,
    events: Events,
    valid: Annotated[StillValid, Depends(still_valid)],
    _: Annotated[None, Depends(listen)],
) -> AsyncIterator[ServerSentEvent]:
    """After a reconnection the first event has the present state; a comment every 15 s keeps the connection."""
    async for event in events.watch(job.id, lambda: job_update(service.document(job)), valid):
        yield event


def add_job_routes(app: FastAPI, service: JobService) -> None:
    """Serve jobs. The routes stand in the application's own router, whose dependencies and 405 they share."""
    app.state.jobs = service
    app.state.events = EventStreams(service.settings, lambda: app.state.shutdown.draining)
    add = partial(app.add_api_route, tags=["jobs"])
    add(
        "/v1/jobs",
        create_job,
        methods=["POST"],
        operation_id="create_job",
        dependencies=[requires("submit")],
        summary="Submit any number of series as a job",
        status_code=202,
        responses=responses.CREATE_JOB,
        openapi_extra=responses.CREATE_JOB_BODY,
    )
    add(
        "/v1/jobs/{job_id}",
        delete_job,
        methods=["DELETE"],
        operation_id="delete_job",
        dependencies=[requires("submit")],
        summary="Cancel a job and remove its files, or delete an ended job with its reports",
        response_model=None,
        responses=responses.DELETE_JOB,
    )
    add(
        "/v1/jobs/{job_id}",
        change_job,
        methods=["PATCH"],
        operation_id="change_job",
        dependencies=[requires("submit")],
        summary="Change the priority of a job that has not ended",
        responses=responses.PATCH_JOB,
        openapi_extra=declared_body(JobChanges),
    )
    add(
        "/v1/jobs",
        list_jobs,
        operation_id="list_jobs",
        dependencies=[requires("read")],
        summary="Your jobs, newest first",
        responses=responses.LIST_JOBS,
    )
    add(
        "/v1/jobs/{job_id}",
        get_job,
        operation_id="get_job",
        dependencies=[requires("read")],
        summary="State and progress of a job",
        responses=responses.GET_JOB,
    )
    add(
        "/v1/jobs/{job_id}/reports",
        get_reports,
        operation_id="get_reports",
        dependencies=[requires("read")],
        summary="Reports so far: pages of JSON, or all as NDJSON or CSV by Accept",
        response_model=ReportPage,
        responses=responses.GET_REPORTS,
    )
    add(
        "/v1/jobs/{job_id}/series/{number}/blood",
        get_blood,
        operation_id="get_blood",
        dependencies=[requires("read")],
        summary="The blood map of a series, where the job was sent with blood=true",
        response_class=Response,
        responses=responses.GET_BLOOD,
    )
    add(
        "/v1/jobs/{job_id}/events",
        watch_job,
        operation_id="watch_job",
        dependencies=[requires("read")],
        summary="Progress of a job as server-sent events, until it ends",
        response_class=EventSourceResponse,
        responses=responses.WATCH_JOB,
    )

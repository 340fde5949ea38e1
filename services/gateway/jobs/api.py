"""Routes of jobs: `/v1/jobs` and below."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Final

from anyio import to_thread
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from services.common.graceful_shutdown import GracefulShutdown
from services.common.operating_points import OperatingPoint
from services.gateway.jobs import responses
from services.gateway.jobs.api_keys import authenticate
from services.gateway.jobs.events import job_events
from services.gateway.jobs.job import Job
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
from services.gateway.jobs.schemas import JobDocument, JobPage, JobStatus, Priority, ReportPage
from services.gateway.jobs.service import JobService
from services.gateway.jobs.store import JobOptions

_REPORTS_PER_PAGE: Final = 100
_VARY: Final = {"vary": "Accept"}


def job_service(request: Request) -> JobService:
    """The application's JobService, as a dependency."""
    service: JobService = request.app.state.jobs
    return service


Service = Annotated[JobService, Depends(job_service)]
Sender = Annotated[str, Depends(authenticate)]


def job_of_sender(job_id: str, sender: Sender, service: Service) -> Job:
    """The job of a path, as a dependency; NotFound where the sender has no such job."""
    return service.store.job(sender, job_id)


JobOfSender = Annotated[Job, Depends(job_of_sender)]


async def create_job(  # noqa: PLR0913 - each is a parameter of the API
    *,
    request: Request,
    response: Response,
    service: Service,
    sender: Sender,
    priority: Annotated[Priority, Query(description="urgent jobs wait for no routine one")] = "routine",
    operating_point: Annotated[OperatingPoint | None, Query(description="which thresholds; else the site's")] = None,
    idempotency_key: Annotated[
        str | None, Header(max_length=255, description="the same key gives the same job, sent twice or not")
    ] = None,
    webhook: Annotated[
        str | None, Query(max_length=2000, description="an address that this site allows, to be told of the end")
    ] = None,
) -> JobDocument:
    """Accept the files of a request as a job."""
    point = await service.check_options(operating_point, webhook)
    job, _ = await service.accept(request, JobOptions(sender, priority, point, idempotency_key, webhook))
    response.headers["location"] = f"/v1/jobs/{job.id}"
    return await to_thread.run_sync(service.document, job)


def delete_job(job: JobOfSender, service: Service) -> JobDocument | Response:
    """Cancel a job, or delete a job that has ended."""
    return service.cancel_or_delete(job) or Response(status_code=204)


def list_jobs(
    sender: Sender,
    service: Service,
    before: Annotated[str | None, Query(pattern="^[0-9a-f]{1,64}$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    status: JobStatus | None = None,
) -> JobPage:
    """A page of the sender's jobs, newest first."""
    return service.list_page(sender, before, limit, status)


def get_job(job: JobOfSender, service: Service) -> JobDocument:
    """A job's state and progress."""
    return service.document(job)


def get_reports(
    request: Request,
    job: JobOfSender,
    after: Annotated[int, Query(ge=-1, description="the number of the last series seen, from 0")] = -1,
    limit: Annotated[
        int | None, Query(ge=1, le=1000, description="the most reports; else 100 as JSON, and all as NDJSON or CSV")
    ] = None,
) -> Response:
    """The reports so far, in the representation that the client prefers."""
    job.manifest()
    media_type = preferred_media_type(request.headers.getlist("accept"))
    if media_type == NDJSON:
        lines = ndjson_lines(read_reports(job, after, limit))
    elif media_type == CSV:
        lines = csv_lines(job, read_reports(job, after, limit))
    else:
        return Response(json_page(job, after, limit or _REPORTS_PER_PAGE), media_type=JSON, headers=_VARY)
    return StreamingResponse(lines, media_type=media_type, headers=_VARY)


async def watch_job(request: Request, job: JobOfSender, service: Service) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events until the job ends; FastAPI adds a comment each 15 s to keep the connection."""
    shutdown: GracefulShutdown = request.app.state.shutdown
    async for event in job_events(lambda: service.document(job), lambda: shutdown.draining):
        yield event


def add_job_routes(app: FastAPI, service: JobService) -> None:
    """Serve jobs. The routes stand in the application's own router, whose dependencies and 405 they share."""
    app.state.jobs, app.state.api_keys = service, service.api_keys
    add = partial(app.add_api_route, tags=["jobs"])
    add(
        "/v1/jobs",
        create_job,
        methods=["POST"],
        operation_id="create_job",
        summary="Hand in any number of series, and come back for the reports",
        status_code=202,
        responses=responses.CREATE_JOB,
        openapi_extra=responses.CREATE_JOB_BODY,
    )
    add(
        "/v1/jobs/{job_id}",
        delete_job,
        methods=["DELETE"],
        operation_id="delete_job",
        summary="Cancel a job and remove its files; one that has ended is forgotten, with its reports",
        response_model=None,
        responses=responses.DELETE_JOB,
    )
    add(
        "/v1/jobs",
        list_jobs,
        operation_id="list_jobs",
        summary="Your jobs, newest first",
        responses=responses.LIST_JOBS,
    )
    add("/v1/jobs/{job_id}", get_job, operation_id="get_job", summary="How far a job is", responses=responses.GET_JOB)
    add(
        "/v1/jobs/{job_id}/reports",
        get_reports,
        operation_id="get_reports",
        summary="The reports so far: pages of JSON, or all as NDJSON or CSV by Accept",
        response_model=ReportPage,
        responses=responses.GET_REPORTS,
    )
    add(
        "/v1/jobs/{job_id}/events",
        watch_job,
        operation_id="watch_job",
        summary="How a job comes on, as server-sent events until it ends",
        response_class=EventSourceResponse,
        responses=responses.WATCH_JOB,
    )

"""The jobs' HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from services.common.operating_points import OperatingPoint
from services.common.problems import NotAcceptable, NotFound
from services.gateway.bundle import Bundles
from services.gateway.jobs.job import Job, job_not_found
from services.gateway.jobs.schemas import JobDocument, JobPage, JobStatus, Priority, ReportPage
from services.gateway.jobs.service import JobService
from services.gateway.jobs.store import JobOptions
from services.gateway.jobs.views import describe, ndjson, on_one_line, reports, table
from services.gateway.negotiation import best
from services.gateway.openapi import (
    END_ANSWERS,
    EVENT_ANSWERS,
    JOB_ANSWERS,
    JOB_BODY,
    NO_JOB,
    PAGE_ANSWERS,
    REPORT_ANSWERS,
)
from services.gateway.predictions import known_point

_POLL_S: Final = 0.5
_KEEP_ALIVE_S: Final = 15.0
_PAGE_REPORTS: Final = 100
_NDJSON: Final = "application/x-ndjson"
_CSV: Final = "text/csv"
_REPRESENTATIONS: Final = ("application/json", _NDJSON, _CSV)
_VARY: Final = {"vary": "Accept"}


def add_jobs(app: FastAPI, jobs: JobService, bundles: Bundles) -> None:
    """The routes below /v1/jobs."""
    sender_type = Annotated[str, Depends(jobs.api_keys.authenticate)]

    def the_job(job_id: str, sender: sender_type) -> Job:
        return jobs.store.job(sender, job_id)

    job_type = Annotated[Job, Depends(the_job)]

    _add_writing(app, jobs, bundles, sender_type, job_type)
    _add_reading(app, jobs, sender_type, job_type)


def _add_writing(app: FastAPI, jobs: JobService, bundles: Bundles, sender_type: Any, job_type: Any) -> None:
    @app.post(
        "/v1/jobs",
        tags=["jobs"],
        operation_id="create_job",
        summary="Hand in any number of series, and come back for the reports",
        status_code=202,
        responses=JOB_ANSWERS,
        openapi_extra=JOB_BODY,
    )
    async def create(  # noqa: PLR0913 - each is a parameter of the API
        *,
        request: Request,
        response: Response,
        sender: sender_type,
        priority: Annotated[Priority, Query(description="urgent jobs wait for no routine one")] = "routine",
        operating_point: Annotated[
            OperatingPoint | None, Query(description="which thresholds; else the site's")
        ] = None,
        idempotency_key: Annotated[
            str | None, Header(max_length=255, description="the same key gives the same job, sent twice or not")
        ] = None,
        webhook: Annotated[
            str | None, Query(max_length=2000, description="an address that this site allows, to be told of the end")
        ] = None,
    ) -> JobDocument:
        point = operating_point or jobs.settings.operating_point
        if operating_point:
            known_point(operating_point, await bundles.served())
        if webhook:
            jobs.hooks.allowed.check(webhook)
        job, _ = await jobs.accept(request, JobOptions(sender, priority, point, idempotency_key, webhook))
        response.headers["location"] = f"/v1/jobs/{job.id}"
        return await to_thread.run_sync(describe, jobs.store, job)

    @app.delete(
        "/v1/jobs/{job_id}",
        tags=["jobs"],
        operation_id="delete_job",
        summary="Cancel a job and remove its files; one that has ended is forgotten, with its reports",
        response_model=None,
        responses=END_ANSWERS,
    )
    def end(job: job_type) -> JobDocument | Response:
        return jobs.end(job) or Response(status_code=204)


def _add_reading(app: FastAPI, jobs: JobService, sender_type: Any, job_type: Any) -> None:
    @app.get(
        "/v1/jobs", tags=["jobs"], operation_id="list_jobs", summary="Your jobs, newest first", responses=PAGE_ANSWERS
    )
    def every(
        sender: sender_type,
        before: Annotated[str | None, Query(pattern="^[0-9a-f]{1,64}$")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        status: JobStatus | None = None,
    ) -> JobPage:
        return jobs.page(sender, before, limit, status)

    @app.get("/v1/jobs/{job_id}", tags=["jobs"], operation_id="get_job", summary="How far a job is", responses=NO_JOB)
    def one(job: job_type) -> JobDocument:
        return describe(jobs.store, job)

    @app.get(
        "/v1/jobs/{job_id}/reports",
        tags=["jobs"],
        operation_id="get_reports",
        summary="The reports so far: pages of JSON, or all as NDJSON or CSV by Accept",
        response_model=ReportPage,
        responses=REPORT_ANSWERS,
    )
    def read(
        request: Request,
        job: job_type,
        after: Annotated[int, Query(ge=-1, description="the number of the last series seen, from 0")] = -1,
        limit: Annotated[
            int | None,
            Query(ge=1, le=1000, description="the most reports; else 100 as JSON, and all as NDJSON or CSV"),
        ] = None,
    ) -> Response:
        job.manifest()
        kind = _representation(request)
        if kind == _NDJSON:
            return StreamingResponse(ndjson(reports(job, after, limit)), media_type=_NDJSON, headers=_VARY)
        if kind == _CSV:
            return StreamingResponse(table(job, reports(job, after, limit)), media_type=_CSV, headers=_VARY)
        return _page(job, after, limit or _PAGE_REPORTS)

    @app.get(
        "/v1/jobs/{job_id}/events",
        tags=["jobs"],
        operation_id="watch_job",
        summary="How a job comes on, as server-sent events until it ends",
        response_class=StreamingResponse,
        responses=EVENT_ANSWERS,
    )
    async def events(job: job_type) -> StreamingResponse:
        stream = _events(lambda: describe(jobs.store, job), lambda: bool(app.state.drain.on))
        return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store"})


def _page(job: Job, after: int, limit: int) -> Response:
    """Reports stand on the disk as they are sent: they are put together, not read."""
    found = list(reports(job, after, limit + 1))
    shown = found[:limit]
    more = f'"/v1/jobs/{job.id}/reports?after={shown[-1][0]}&limit={limit}"' if len(found) > limit else "null"
    content = b'{"reports":[' + b",".join(report for _, report in shown) + b'],"next":' + more.encode() + b"}"
    return Response(content, media_type="application/json", headers=_VARY)


def _representation(request: Request) -> str:
    """The media type that the sender likes best; NotAcceptable where none fits."""
    chosen = best(", ".join(request.headers.getlist("accept")), _REPRESENTATIONS)
    if chosen is None:
        raise NotAcceptable(f"reports are served as {', '.join(_REPRESENTATIONS)}; name one of them in Accept")
    return chosen


async def _events(look: Callable[[], JobDocument], ending: Callable[[], bool]) -> AsyncIterator[str]:
    """`progress` with the job's document as often as it changes, then `end` (or `gone`).

    A gateway that ends breaks off, and holds nobody up; whoever listens asks the next one.
    """
    last, quiet_s = None, 0.0
    while not ending():
        try:
            document = await to_thread.run_sync(look)
        except NotFound:
            yield f"event: gone\ndata: {job_not_found().code}\n\n"
            return
        if document != last:
            name = "end" if document.ended else "progress"
            yield f"event: {name}\ndata: {on_one_line(document.model_dump_json().encode()).decode()}\n\n"
            last, quiet_s = document, 0.0
        if document.ended:
            return
        if quiet_s >= _KEEP_ALIVE_S:
            yield ": still here\n\n"
            quiet_s = 0.0
        await asyncio.sleep(_POLL_S)
        quiet_s += _POLL_S

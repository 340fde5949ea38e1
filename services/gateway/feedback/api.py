"""Routes of feedback: `/v1/jobs/{id}/series/{n}/feedback`, `/v1/feedback` and `/v1/feedback/agreement`."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from services.common.identity.authentication import authenticate, requires
from services.common.identity.principal import Principal
from services.gateway.feedback import responses
from services.gateway.feedback.agreement import agreement
from services.gateway.feedback.label_table import OPINION_COLUMNS, Rows, label_columns, label_rows, opinion_rows
from services.gateway.feedback.opinions import StoredOpinion
from services.gateway.feedback.schemas import (
    Agreement,
    FeedbackList,
    FeedbackPage,
    FeedbackRequest,
    LabelRow,
    OpinionRow,
)
from services.gateway.feedback.service import FeedbackService
from services.gateway.jobs.api import ReadableJob, SeriesNumber
from services.gateway.jobs.job import Job
from services.gateway.jobs.report_formats import CSV, NDJSON, csv_line, preferred_media_type
from services.gateway.json_body import declared_body, json_body
from services.gateway.worklist.query import parse_since, parse_until

_ROWS_PER_PAGE: Final = 1000
_VARY: Final = {"vary": "Accept"}


def feedback_service(request: Request) -> FeedbackService:
    """The application's FeedbackService, as a dependency."""
    service: FeedbackService = request.app.state.feedback
    return service


Service = Annotated[FeedbackService, Depends(feedback_service)]
Caller = Annotated[Principal, Depends(authenticate)]
Given = Annotated[FeedbackRequest, Depends(json_body(FeedbackRequest))]


def give_feedback(
    job: ReadableJob, number: SeriesNumber, caller: Caller, service: Service, given: Given
) -> FeedbackList:
    """A later opinion of the same reader on the same label and slice replaces it. The same request may be repeated."""
    service.give(job, number, given, caller.id)
    return service.of_series(job, number, caller.id)


def get_feedback(job: ReadableJob, number: SeriesNumber, caller: Caller, service: Service) -> FeedbackList:
    """The latest opinion of each reader on each label, of the series and of its slices."""
    return service.of_series(job, number, caller.id)


def get_agreement(
    caller: Caller, service: Service, weeks: Annotated[int, Query(ge=1, le=520, description="the latest weeks")] = 26
) -> Agreement:
    """Of the jobs that the caller may read. An opinion counts in the week in which it was given last."""
    found = (one for _, opinions in service.of_all_jobs(_scope(caller)) for one in opinions)
    return agreement(found, weeks, datetime.now(UTC).date())


def export_feedback(  # noqa: PLR0913 - each is a parameter of the API
    *,
    request: Request,
    caller: Caller,
    service: Service,
    rows: Annotated[Rows, Query(description="labels of series, labels of slices, or each opinion")] = "series",
    since: Annotated[
        str | None, Query(alias="from", max_length=40, description="given at this date or time, or later; UTC")
    ] = None,
    until: Annotated[
        str | None, Query(alias="to", max_length=40, description="given on this date or before, or before this time")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="most rows of a page of JSON")] = _ROWS_PER_PAGE,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1, description="rows of JSON to pass over")] = 0,
) -> Response:
    """Of the jobs that the caller may read. Opinions go with their job: export them before it is deleted."""
    media_type = preferred_media_type(request.headers.getlist("accept"))
    found = _between(service.of_all_jobs(_scope(caller)), parse_since(since), parse_until(until))
    table: Iterable[LabelRow | OpinionRow] = opinion_rows(found) if rows == "opinions" else label_rows(found, rows)
    if media_type == CSV:
        columns = OPINION_COLUMNS if rows == "opinions" else label_columns(rows)
        return StreamingResponse(_csv(table, columns), media_type=CSV, headers=_VARY)
    if media_type == NDJSON:
        lines = (f"{_document(row)}\n" for row in table)
        return StreamingResponse(lines, media_type=NDJSON, headers=_VARY)
    page = list(table)[offset : offset + limit + 1]
    more = dict(request.query_params) | {"offset": str(offset + limit)}
    address = f"/v1/feedback?{urlencode(more)}" if len(page) > limit else None
    body = FeedbackPage.model_construct(rows=tuple(page[:limit]), next=address)
    return Response(_document(body), media_type=media_type, headers=_VARY)


def _between(
    found: Iterable[tuple[Job, list[StoredOpinion]]], since: str | None, until: str | None
) -> Iterator[tuple[Job, list[StoredOpinion]]]:
    for job, opinions in found:
        some = [one for one in opinions if (since or "") <= one.at and (until is None or one.at < until)]
        if some:
            yield job, some


def _document(model: BaseModel) -> str:
    return model.model_dump_json(exclude_unset=True)


def _csv(rows: Iterable[BaseModel], columns: Sequence[str]) -> Iterator[bytes]:
    yield csv_line(columns)
    for row in rows:
        yield csv_line(_cell(getattr(row, name)) for name in columns)


def _cell(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _scope(caller: Principal) -> str | None:
    return None if caller.reads_all else caller.id


def add_feedback_routes(app: FastAPI, service: FeedbackService) -> None:
    """Serve feedback."""
    app.state.feedback = service
    add = partial(app.add_api_route, tags=["feedback"])
    address = "/v1/jobs/{job_id}/series/{number}/feedback"
    add(
        address,
        give_feedback,
        methods=["PUT"],
        operation_id="give_feedback",
        dependencies=[requires("read")],
        summary="Agree or disagree with a prediction, by label, of a series or one of its slices",
        responses=responses.GIVE_FEEDBACK,
        openapi_extra=declared_body(FeedbackRequest),
    )
    add(
        address,
        get_feedback,
        operation_id="get_feedback",
        dependencies=[requires("read")],
        summary="Readers' opinions on a series",
        responses=responses.GET_FEEDBACK,
    )
    add(
        "/v1/feedback",
        export_feedback,
        operation_id="export_feedback",
        dependencies=[requires("read")],
        summary="Readers' opinions as a table of labels: JSON, NDJSON or CSV by Accept",
        response_model=FeedbackPage,
        responses=responses.EXPORT_FEEDBACK,
    )
    add(
        "/v1/feedback/agreement",
        get_agreement,
        operation_id="get_agreement",
        dependencies=[requires("read")],
        summary="Readers' agreement by week and label",
        responses=responses.GET_AGREEMENT,
    )

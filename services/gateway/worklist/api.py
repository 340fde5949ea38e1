"""Routes of the worklist: `/v1/worklist` and its events."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from services.common.identity.authentication import StillValid, authenticate, requires, still_valid
from services.common.identity.principal import Principal
from services.common.problem_schemas import openapi_problem
from services.common.problems import BadRequest, Overloaded
from services.gateway.jobs.api import Events, listen
from services.gateway.jobs.events import TooManyListeners
from services.gateway.jobs.schemas import JobSource
from services.gateway.responses import (
    INVALID_PARAMETER,
    INVALID_QUERY,
    TOO_MANY_WRONG_KEYS,
    UNAUTHORIZED,
    WRONG_KEYS,
    Responses,
)
from services.gateway.worklist import query
from services.gateway.worklist.query import SORTS, Filters, InvalidCursor, InvalidFilter, Sorting
from services.gateway.worklist.schemas import WorklistPage
from services.gateway.worklist.service import PageRequest, Worklist, WorklistUnavailable

_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "event": {"enum": ["changed"]},
        "data": {"type": "string", "description": '`{"version": n}`; n grows with each change'},
    },
}
_READ: Final[Responses] = {401: UNAUTHORIZED, 429: TOO_MANY_WRONG_KEYS}
_LIST: Final[Responses] = {
    **_READ,
    400: openapi_problem(
        InvalidFilter("status='done' is unknown; it must be one of queued, running, ..."),
        InvalidCursor("the cursor is broken; follow the address in `next`, or begin without one"),
        BadRequest("query.limit: Input should be less than or equal to 500"),
        *INVALID_QUERY,
    ),
    503: openapi_problem(WorklistUnavailable("the index of the worklist is made again; try again in some seconds")),
}
_WATCH: Final[Responses] = {
    200: {
        "description": "A `changed` event for the present state, and at most two a second while the list changes",
        "content": {"text/event-stream": {"itemSchema": _EVENT}},
    },
    400: INVALID_PARAMETER,
    401: UNAUTHORIZED,
    429: openapi_problem(
        TooManyListeners("64 are open; close one, or read the document or the list instead"), WRONG_KEYS
    ),
    503: openapi_problem(Overloaded("512 streams of events are open; read the document or the list instead")),
}


def worklist(request: Request) -> Worklist:
    """The application's worklist, as a dependency."""
    found: Worklist = request.app.state.worklist
    return found


Service = Annotated[Worklist, Depends(worklist)]
Caller = Annotated[Principal, Depends(authenticate)]


def scope_of(caller: Principal) -> str | None:
    """The sender whose jobs the caller may read; None for those of all."""
    return None if caller.reads_all else caller.id


def filters_of(  # noqa: PLR0913 - each is a parameter of the API
    *,
    caller: Caller,
    status: Annotated[str | None, Query(max_length=100, description="statuses, separated by commas")] = None,
    label: Annotated[
        str | None, Query(max_length=100, description="labels, separated by commas: any of them is predicted")
    ] = None,
    text: Annotated[
        str | None,
        Query(max_length=200, description="in descriptions, UIDs, the job's id and a shown name; case is ignored"),
    ] = None,
    urgent: Annotated[bool | None, Query(description="urgent jobs only, or the others")] = None,
    present: Annotated[bool | None, Query(description="series with a haemorrhage predicted, or without")] = None,
    source: Annotated[JobSource | None, Query(description="what sent the job")] = None,
    patient: Annotated[str | None, Query(max_length=64, description="`patient` of an entry")] = None,
    job: Annotated[str | None, Query(max_length=64, description="id of a job")] = None,
    since: Annotated[
        str | None, Query(alias="from", max_length=40, description="received at this date or time, or later; UTC")
    ] = None,
    until: Annotated[
        str | None, Query(alias="to", max_length=40, description="received on this date or before, or before this time")
    ] = None,
) -> Filters:
    """The filters of a request."""
    return Filters(
        sender=scope_of(caller),
        statuses=query.parse_statuses(status),
        labels=query.parse_labels(label),
        text=text or None,
        urgent=urgent,
        present=present,
        source=source,
        patient=patient,
        job=job,
        since=query.parse_since(since),
        until=query.parse_until(until),
    )


def list_worklist(  # noqa: PLR0913 - each is a parameter of the API
    *,
    request: Request,
    service: Service,
    filters: Annotated[Filters, Depends(filters_of)],
    sort: Annotated[str, Query(max_length=40, description=f"one of {', '.join(SORTS)}")] = "received",
    order: Annotated[
        query.Order | None,
        Query(description="default: newest, urgent and highest first; descriptions and statuses ascend"),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[str | None, Query(max_length=1000, description="as in `next` of the page before")] = None,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1, description="entries to pass over")] = 0,
) -> WorklistPage:
    """Newest first. Nothing is hidden or ordered by a probability unless the request asks for it."""
    sorting = Sorting.parse(sort, order)
    return service.page(PageRequest(filters, sorting, limit, cursor, offset, request.query_params))


async def watch_worklist(
    caller: Caller,
    service: Service,
    events: Events,
    valid: Annotated[StillValid, Depends(still_valid)],
    _: Annotated[None, Depends(listen)],
) -> AsyncIterator[ServerSentEvent]:
    """The events hold no entries: after one, read the entries that are shown anew."""
    scope = scope_of(caller)
    async for event in events.watch(f"worklist {scope or '*'}", lambda: service.update(scope), valid):
        yield event


def add_worklist_routes(app: FastAPI, service: Worklist) -> None:
    """Serve the worklist."""
    app.state.worklist = service
    add = partial(app.add_api_route, tags=["worklist"])
    add(
        "/v1/worklist",
        list_worklist,
        operation_id="list_worklist",
        dependencies=[requires("read")],
        summary="The series of all jobs that you may read",
        responses=_LIST,
    )
    add(
        "/v1/worklist/events",
        watch_worklist,
        operation_id="watch_worklist",
        dependencies=[requires("read")],
        summary="Changes of the worklist as server-sent events",
        response_class=EventSourceResponse,
        responses=_WATCH,
    )

"""ASGI middleware that records each audited request before its response leaves."""

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.error_handlers import problem_response
from services.common.observability import current_problem_code, current_request_id, set_problem_code
from services.common.problems import Problem
from services.gateway.audit.events import NOT_AUDITED, Event, request_event
from services.gateway.audit.log import AuditLog

_CREATED: Final = "/v1/jobs/"


class AuditUnavailable(Problem):
    status = 503
    code = "audit_unavailable"
    title = "The audit log cannot be written"
    retry_after_s = 10

    def __init__(self) -> None:
        super().__init__(
            "this site serves no request without a line in its audit log, which cannot be written now: its operator "
            "must make room or repair the disk; try again later"
        )


class AuditMiddleware:
    """Records requests by their route's operation id; an operation that no table names is audited as `other`."""

    def __init__(self, app: ASGIApp, log: AuditLog) -> None:
        self._app, self._log = app, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._log.required and self._log.failing and not await self._recovers(scope):
            await problem_response(AuditUnavailable())(scope, receive, send)
        else:
            await self._recorded(scope, receive, send)

    async def _recovers(self, scope: Scope) -> bool:
        """Whether lines can be written again, before an audited request is read."""
        return _audited_operation(scope) is None or await self._log.recovered()

    async def _recorded(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered = refused = False
        set_problem_code(None)

        async def recording_send(message: Message) -> None:
            nonlocal answered, refused
            if message["type"] == "http.response.start" and not answered:
                answered = True
                headers = Headers(raw=message["headers"])
                event = _event(scope, message["status"], current_problem_code(), headers)
                refused = event is not None and not await self._log.record(event) and self._log.required
                if refused:
                    await problem_response(AuditUnavailable())(scope, receive, send)
            if not refused:
                await send(message)

        try:
            await self._app(scope, receive, recording_send)
        finally:
            # Unanswered after an unexpected error, or where the server or HEAD cancels the request.
            if not answered and (event := _event(scope, 500, "internal_error", Headers())):
                self._log.post(event)


def _event(scope: Scope, status: int, code: str | None, headers: Headers) -> Event | None:
    """The event of an answered request; None where its operation is not audited."""
    operation, client = _audited_operation(scope), scope.get("client")
    if operation is None:
        return None
    return request_event(
        operation,
        status,
        code,
        sender=scope.get("state", {}).get("sender"),
        way=scope.get("state", {}).get("way"),
        owner=scope.get("state", {}).get("owner"),
        address=client[0] if client else None,
        job=_job_id(scope, headers),
        request_id=current_request_id(),
    )


def _job_id(scope: Scope, headers: Headers) -> str | None:
    """The job's id in the location of a new job, or in the path."""
    location = headers.get("location", "")
    if location.startswith(_CREATED):
        return location.removeprefix(_CREATED)
    found: str | None = scope.get("path_params", {}).get("job_id")
    return found


def _audited_operation(scope: Scope) -> str | None:
    """The operation id of the route that took a request, or would take it; None where it is not audited."""
    route = scope.get("route") or _first_match(scope)
    operation: str | None = getattr(route, "operation_id", None)
    return None if operation in NOT_AUDITED else operation


def _first_match(scope: Scope) -> BaseRoute | None:
    routes: Sequence[BaseRoute] = scope["app"].routes
    return next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)

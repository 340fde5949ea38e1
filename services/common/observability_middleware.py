"""ASGI middleware that counts, times and logs each request."""

import logging
import time
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.observability import (
    REQUEST_ID,
    Metrics,
    current_problem_code,
    set_problem_code,
    set_request_id,
)
from services.common.readiness import PROBES
from services.common.tracing import end_request, exemplar, request_span

log = logging.getLogger(__name__)


class ObservabilityMiddleware:
    """Counts, times, traces and logs each request, and sets its id."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, start, status = set_request_id(Headers(scope=scope)), time.perf_counter(), 500
        set_problem_code(None)

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        with request_span(scope) as span:
            try:
                await self._app(scope, receive, observed_send)
            finally:
                end_request(span, scope, route_of(scope), status, current_problem_code())
                self._record(scope, status, time.perf_counter() - start)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        self._metrics.requests.labels(route, scope["method"], status).inc()
        self._metrics.seconds.labels(route).observe(seconds, exemplar())
        fields = {"route": route, "method": scope["method"], "status": status, "ms": round(seconds * 1e3, 1)}
        log.log(_level(route, status), "request", extra={"fields": fields})


def route_of(scope: Scope) -> str:
    """The route's path template, such as `/v1/jobs/{job_id}`; the path itself may hold identifiers."""
    return str(getattr(scope.get("route"), "path", "other"))


def _level(route: str, status: int) -> int:
    if route in PROBES and status in (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE):
        return logging.DEBUG  # `Readiness` logs the changes
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return logging.ERROR
    return logging.DEBUG if route in ("/livez", "/metrics") else logging.INFO

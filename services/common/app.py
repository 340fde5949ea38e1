"""The application factory of every service: problems, health, metrics, logs and request ids."""

import logging
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.graceful_shutdown import GracefulShutdown, Lifespan
from services.common.head_requests import HeadMiddleware
from services.common.observability import REQUEST_ID, Metrics, current_request_id, set_request_id
from services.common.problem_schemas import (
    DEFAULT_RESPONSE,
    PROBLEM_JSON,
    add_problem_schemas,
    extend_openapi,
    openapi_problem,
)
from services.common.problems import BadRequest, ClientClosedRequest, MethodNotAllowed, NotFound, NotReady, Problem
from services.common.readiness import PROBES, Readiness, ReadyCheck
from services.common.version import VERSION

log = logging.getLogger(__name__)

_NOT_READY: Final[dict[int | str, dict[str, Any]]] = {
    503: openapi_problem(NotReady("cnn cannot be reached", stage="cnn", cause="stage_failed"))
}
_METRICS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "In Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


def new_app(
    *,
    title: str,
    ready: ReadyCheck,
    drain_s: float,
    make: Callable[..., FastAPI] = FastAPI,
    lifespan: Lifespan | None = None,
    **options: Any,
) -> FastAPI:
    """An application with health checks, metrics, logs and problem responses.

    Parameters
    ----------
    ready : raises a Problem while the service cannot serve requests
    drain_s : seconds between SIGTERM and closing the listening socket; readiness is off meanwhile
    make : creates the application from `options`
    """
    shutdown = GracefulShutdown(drain_s)
    app = make(
        title=title, version=VERSION, lifespan=shutdown.wrap_lifespan(lifespan), responses=DEFAULT_RESPONSE, **options
    )
    extend_openapi(app, add_problem_schemas)
    app.state.metrics, app.state.shutdown, app.state.readiness = Metrics(), shutdown, Readiness(ready, shutdown)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(_ObservabilityMiddleware, metrics=app.state.metrics)
    _answer_problems(app)
    _add_health(app)
    return app


def _answer_problems(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        log_server_error(request, error)
        return problem_response(error)

    @app.exception_handler(ClientDisconnect)
    async def disconnected(_: Request, error: ClientDisconnect) -> Response:  # noqa: ARG001 - carries no information
        return problem_response(
            ClientClosedRequest("the client closed the connection before it sent the whole request")
        )

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        fields = [{"field": ".".join(map(str, item["loc"])), "reason": item["msg"]} for item in error.errors()]
        detail = "; ".join(f"{field['field']}: {field['reason']}" for field in fields)
        return problem_response(BadRequest(detail, fields=fields))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        return problem_response(_routing_problem(app.routes, request, error))

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:  # noqa: ARG001 - its message may quote the upload
        return problem_response(Problem("unexpected error; the service's log holds it under the request id"))


def _routing_problem(routes: Sequence[BaseRoute], request: Request, error: HTTPException) -> Problem:
    """The problem of a request that no route takes, with the methods of all routes of its path."""
    allowed = _allowed_methods(routes, request.scope)
    if allowed or error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = allowed or {"GET", "HEAD"}  # of a mounted folder of pages
        detail = f"this resource allows {', '.join(sorted(allowed))}, not {request.method}"
        return MethodNotAllowed(detail, allowed=allowed)
    kind = NotFound if error.status_code == HTTPStatus.NOT_FOUND else BadRequest
    return kind(str(error.detail))


def _allowed_methods(routes: Sequence[BaseRoute], scope: Scope) -> set[str]:
    """The methods of every route of this path; none where a route allows the request's method."""
    root_path = scope.get("app_root_path", scope.get("root_path", ""))  # without the prefix of a mount
    whole = {**scope, "root_path": root_path}
    found = [(route, route.matches(whole)[0]) for route in routes if isinstance(route, Route)]
    if any(match is Match.FULL for _, match in found):
        return set()
    methods = {method for route, match in found if match is Match.PARTIAL for method in route.methods or ()}
    return methods | ({"HEAD"} if "GET" in methods else set())


def log_server_error(request: Request, problem: Problem) -> None:
    """Log a problem with a status of 500 or above, unless a readiness probe asked."""
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR and route_of(request.scope) not in PROBES:
        log.error("problem", exc_info=problem, extra={"fields": {"code": problem.code}})


def problem_response(problem: Problem, **members: Any) -> JSONResponse:
    """A problem as a response (RFC 9457), with further members."""
    document = {**problem.document(), "request_id": current_request_id(), **members}
    headers = {**problem.headers(), REQUEST_ID: current_request_id(), "cache-control": "no-store"}
    return JSONResponse(document, problem.status, headers, PROBLEM_JSON)


def _add_health(app: FastAPI) -> None:
    @app.get("/livez", tags=["health"], operation_id="livez", summary="Liveness: 200 while the process runs")
    async def livez() -> dict[str, str]:
        return {"status": "alive", "version": VERSION}

    @app.get(
        "/readyz",
        tags=["health"],
        operation_id="readyz",
        summary="Readiness: 200 while the service can serve requests",
        responses=_NOT_READY,
    )
    async def readyz() -> dict[str, str]:
        await app.state.readiness.check()
        return {"status": "ready"}

    @app.get(
        "/metrics",
        tags=["health"],
        operation_id="metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses=_METRICS,
    )
    def metrics() -> Response:  # in a thread: collectors may read a disk or another server
        return Response(generate_latest(app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


class _ObservabilityMiddleware:
    """ASGI middleware that counts, times and logs each request, and sets its id."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, start, status = set_request_id(Headers(scope=scope)), time.perf_counter(), 500

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self._app(scope, receive, observed_send)
        finally:
            self._record(scope, status, time.perf_counter() - start)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        self._metrics.requests.labels(route, scope["method"], status).inc()
        self._metrics.seconds.labels(route).observe(seconds)
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

"""The one application factory: problems, health, metrics, logs and request ids, the same for every service."""

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
from services.common.observability import REQUEST_ID, Metrics, adopt_request_id, current_request_id
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
    """An application that observes itself.

    `ready` raises a Problem while the service can't do its work, and it says so itself `drain_s` seconds before SIGTERM
    ends it; `options` go to `make`, which makes the application.
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
    async def gone(_: Request, error: ClientDisconnect) -> Response:  # noqa: ARG001 - it says nothing
        return problem_response(ClientClosedRequest("the connection was closed before the request was whole"))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        fields = [{"field": ".".join(map(str, item["loc"])), "reason": item["msg"]} for item in error.errors()]
        words = "; ".join(f"{field['field']}: {field['reason']}" for field in fields)
        return problem_response(BadRequest(words, fields=fields))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return problem_response(_refusal(app.routes, request, error))

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:  # noqa: ARG001 - its words are never passed on
        return problem_response(Problem("an unexpected fault; the request id finds it in the service's log"))


def _refusal(routes: Sequence[BaseRoute], request: Request, error: HTTPException) -> Problem:
    """The router's refusals, mended: of several routes it knows the first, and a mounted folder takes every path."""
    allowed = _allowed_methods(routes, request.scope)
    if allowed or error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = allowed or {"GET", "HEAD"}  # what a folder of pages has
        words = f"{request.method} is not a method of this resource; it has {', '.join(sorted(allowed))}"
        return MethodNotAllowed(words, allowed=allowed)
    kind = NotFound if error.status_code == HTTPStatus.NOT_FOUND else BadRequest
    return kind(str(error.detail))


def _allowed_methods(routes: Sequence[BaseRoute], scope: Scope) -> set[str]:
    """The methods of every route of this path; none where a route has the request's own."""
    whole = {
        **scope,
        "root_path": scope.get("app_root_path", scope.get("root_path", "")),
    }  # as it was before a mount took its part
    found = [(route, route.matches(whole)[0]) for route in routes if isinstance(route, Route)]
    if any(match is Match.FULL for _, match in found):
        return set()
    methods = {method for route, match in found if match is Match.PARTIAL for method in route.methods or ()}
    return methods | ({"HEAD"} if "GET" in methods else set())


def log_server_error(request: Request, problem: Problem) -> None:
    """Write down where a problem of our own making came from; one of the sender's, or a probe's, is no news."""
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR and route_of(request.scope) not in PROBES:
        log.error("problem", exc_info=problem, extra={"fields": {"code": problem.code}})


def problem_response(problem: Problem, **members: Any) -> JSONResponse:
    """A problem as an answer (RFC 9457), with further members."""
    document = {**problem.document(), "request_id": current_request_id(), **members}
    headers = {**problem.headers(), REQUEST_ID: current_request_id(), "cache-control": "no-store"}
    return JSONResponse(document, problem.status, headers, PROBLEM_JSON)


def _add_health(app: FastAPI) -> None:
    @app.get("/livez", tags=["health"], operation_id="livez", summary="Is the process alive?")
    async def livez() -> dict[str, str]:
        return {"status": "alive", "version": VERSION}

    @app.get("/readyz", tags=["health"], operation_id="readyz", summary="Can it do its work now?", responses=_NOT_READY)
    async def readyz() -> dict[str, str]:
        await app.state.readiness.check()
        return {"status": "ready"}

    @app.get(
        "/metrics",
        tags=["health"],
        operation_id="metrics",
        summary="Prometheus figures",
        response_class=Response,
        responses=_METRICS,
    )
    def metrics() -> Response:  # in a thread: figures may come from a disk or another server
        return Response(generate_latest(app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


class _ObservabilityMiddleware:
    """Counts, times and logs each request, and sets its id."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, begin, status = adopt_request_id(Headers(scope=scope)), time.perf_counter(), 500

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self._app(scope, receive, observed_send)
        finally:
            self._record(scope, status, time.perf_counter() - begin)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        self._metrics.requests.labels(route, scope["method"], status).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        fields = {"route": route, "method": scope["method"], "status": status, "ms": round(seconds * 1e3, 1)}
        log.log(_level(route, status), "request", extra={"fields": fields})


def route_of(scope: Scope) -> str:
    """The template of the path, such as `/v1/jobs/{job_id}`: never the path itself, which may hold anything."""
    return str(getattr(scope.get("route"), "path", "other"))


def _level(route: str, status: int) -> int:
    if route in PROBES and status in (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE):
        return logging.DEBUG  # `Readiness` logs the changes
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return logging.ERROR
    return logging.DEBUG if route in ("/livez", "/metrics") else logging.INFO

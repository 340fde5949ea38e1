"""Exception handlers of every application: each failure is answered as problem details (RFC 9457)."""

import logging
from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from services.common.observability import REQUEST_ID, current_request_id, set_problem_code
from services.common.observability_middleware import route_of
from services.common.problem_schemas import PROBLEM_JSON
from services.common.problems import BadRequest, ClientClosedRequest, MethodNotAllowed, NotFound, Problem
from services.common.readiness import PROBES

log = logging.getLogger(__name__)


def add_error_handlers(app: FastAPI) -> None:
    """Answer every exception as a problem."""
    app.exception_handler(Problem)(_answer_problem)
    app.exception_handler(ClientDisconnect)(_answer_disconnect)
    app.exception_handler(RequestValidationError)(_answer_invalid)
    app.exception_handler(HTTPException)(_answer_http_error)
    app.exception_handler(Exception)(_answer_unexpected)


def problem_response(problem: Problem, **members: str) -> JSONResponse:
    """A problem as a response (RFC 9457), with further members."""
    set_problem_code(problem.code)
    document = {**problem.document(), "request_id": current_request_id(), **members}
    headers = {**problem.headers(), REQUEST_ID: current_request_id(), "cache-control": "no-store"}
    return JSONResponse(document, problem.status, headers, PROBLEM_JSON)


def log_server_error(request: Request, problem: Problem) -> None:
    """Log a problem with a status of 500 or above, unless a readiness probe asked."""
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR and route_of(request.scope) not in PROBES:
        log.error("problem", exc_info=problem, extra={"fields": {"code": problem.code}})


async def _answer_problem(request: Request, error: Problem) -> Response:
    log_server_error(request, error)
    return problem_response(error)


async def _answer_disconnect(_: Request, __: ClientDisconnect) -> Response:
    return problem_response(ClientClosedRequest("the client closed the connection before it sent the whole request"))


async def _answer_invalid(_: Request, error: RequestValidationError) -> Response:
    fields = [{"field": ".".join(map(str, item["loc"])), "reason": item["msg"]} for item in error.errors()]
    detail = "; ".join(f"{field['field']}: {field['reason']}" for field in fields)
    return problem_response(BadRequest(detail, fields=fields))


async def _answer_http_error(request: Request, error: HTTPException) -> Response:
    return problem_response(_routing_problem(request.app.routes, request, error))


async def _answer_unexpected(_: Request, __: Exception) -> Response:
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

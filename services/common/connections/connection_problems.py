"""Refusals of a connection or of a request that never reaches the application, written to the connection itself.

RequestTimeout       408   the client was too slow with a header or a body
HeaderTooLarge       431   the header has too many bytes or fields
TooManyConnections   503   all connections of the address, or of the server, are being served
"""

import json
import uuid
from http import HTTPStatus

from services.common.observability import REQUEST_ID
from services.common.problem_schemas import PROBLEM_JSON
from services.common.problems import Problem


class RequestTimeout(Problem):
    status = 408
    code = "request_timeout"
    title = "The request arrived too slowly"


class HeaderTooLarge(Problem):
    status = 431
    code = "header_too_large"
    title = "The request's header is too large"


class TooManyConnections(Problem):
    status = 503
    code = "too_many_connections"
    title = "Too many connections are open"
    retry_after_s = 5


def encode_problem(problem: Problem) -> bytes:
    """The response of a connection that is closed after it."""
    request_id = uuid.uuid4().hex
    body = json.dumps({**problem.document(), "request_id": request_id}).encode()
    headers = {
        **problem.headers(),
        "content-type": PROBLEM_JSON,
        "content-length": str(len(body)),
        "cache-control": "no-store",
        REQUEST_ID: request_id,
        "connection": "close",
    }
    lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}", *map(": ".join, headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body

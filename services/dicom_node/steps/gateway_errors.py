"""Failures of the gateway as the steps distinguish them.

GatewayError
|- TemporaryFailure   no response, or one that says to try again: retried without an end
|- NodeRefused        the node's own key, address or request is at fault: retried, and an error in the log
|- KeyConflict        409: the Idempotency-Key belongs to another request, such as one of other settings
|- JobLost            404: the gateway has no such job any more
|- SeriesRefused      the received files are at fault: the series is not assessed
"""

import json
from typing import Any, Final

import httpx

from services.common.retry_after import retry_after_s

_OF_THE_SERIES: Final = frozenset({413, 415, 422})
_TRANSIENT: Final = frozenset({408, 425, 429})
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404
_NO_JOB: Final = "not_found"
_SERVER_ERRORS: Final = 500


class GatewayError(Exception):
    """`code` is of the problem document, else `http_<status>`: for logs, metrics and the registry."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class TemporaryFailure(GatewayError):
    """retry_after_s : seconds that the gateway asks to wait; None where it says nothing."""

    def __init__(self, code: str, wait_s: float | None = None) -> None:
        super().__init__(code)
        self.retry_after_s = wait_s


class NodeRefused(GatewayError):
    """401, 403, 400 and others: the same request is refused until someone changes a setting."""


class KeyConflict(GatewayError):
    """409 `idempotency_conflict`."""


class JobLost(GatewayError):
    """404 of a job that was accepted."""


class PartMissing(GatewayError):
    """404 of a part of a job that exists."""


class SeriesRefused(GatewayError):
    """A problem of the series. `detail` is for its report, and may name files; it is never logged."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.detail = detail


def parse_problem(response: httpx.Response) -> dict[str, Any]:
    """The problem document of a response; empty where a proxy sent something else."""
    try:
        document = json.loads(response.content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) and isinstance(document.get("code"), str) else {}


def checked(response: httpx.Response) -> httpx.Response:
    """A response of success; GatewayError of any other one, whose body has been read."""
    if response.is_success:
        return response
    problem, status = parse_problem(response), response.status_code
    code = problem.get("code", f"http_{status}")
    if status >= _SERVER_ERRORS or status in _TRANSIENT:
        raise TemporaryFailure(code, retry_after_s(response.headers.get("retry-after", "")))
    if status in _OF_THE_SERIES and problem:  # without a problem, a proxy refused it: its limits are a setting
        raise SeriesRefused(code, str(problem.get("detail", "")))
    if status == _CONFLICT:
        raise KeyConflict(code)
    if status == _NOT_FOUND and problem:
        raise JobLost(code) if code == _NO_JOB else PartMissing(code)
    raise NodeRefused(code)

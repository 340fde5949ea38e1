"""Failures of calls to stages as problems."""

import json

import httpx
import pytest

from services.gateway.stages.stage_answers import failure, transport_errors
from services.gateway.stages.stage_problems import (
    BundleMismatch,
    RecipeMismatch,
    RegionUnknown,
    StageBusy,
    StageFailed,
    StageTimeout,
)
from services.gateway.stages.stage_retries import Broken, Busy, Refused

REQUEST = httpx.Request("POST", "http://cnn")


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (httpx.ConnectError("refused"), Refused),
        (httpx.ConnectTimeout("away"), Refused),
        (httpx.ReadError("reset"), Broken),
        (httpx.WriteError("reset"), Broken),
        (httpx.RemoteProtocolError("closed"), Broken),
        (httpx.ReadTimeout("slow"), StageTimeout),
        (httpx.PoolTimeout("full"), StageTimeout),
    ],
)
def test_errors_of_the_connection(raised: httpx.TransportError, expected: type[Exception]) -> None:
    with pytest.raises(expected), transport_errors("cnn"):
        raise raised


def test_a_connection_that_does_not_open_in_time_ends_as_a_time_out() -> None:
    with pytest.raises(Refused) as refused, transport_errors("cnn"):
        raise httpx.ConnectTimeout("away")
    assert isinstance(refused.value.fault, StageTimeout)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "unknown_region", RegionUnknown),
        (400, "malformed_request", StageFailed),
        (404, "not_found", StageFailed),
        (409, "recipe_mismatch", RecipeMismatch),
        (409, "bundle_mismatch", BundleMismatch),
        (429, "-", StageFailed),
        (500, "internal_error", StageFailed),
        (502, None, Broken),
        (503, "overloaded", Busy),
        (503, None, Busy),
        (504, "too_late", StageTimeout),
    ],
)
def test_error_responses(status: int, code: str | None, expected: type[Exception]) -> None:
    body = json.dumps({"code": code, "detail": "why"}).encode() if code else b"<html>"
    assert type(failure("cnn", httpx.Response(status, request=REQUEST), body)) is expected


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [("7", 7), ("0", 1), ("3600", 60), ("", 5), ("soon", 5), ("Thu, 01 Jan 1970 00:00:00 GMT", 1)],
)
def test_a_busy_replica_states_when_to_return(stated: str, seconds: int) -> None:
    found = failure("cnn", httpx.Response(503, headers={"retry-after": stated}), b"{}")
    assert isinstance(found, Busy)
    assert isinstance(found.fault, StageBusy)
    assert found.fault.headers() == {"retry-after": str(seconds)}

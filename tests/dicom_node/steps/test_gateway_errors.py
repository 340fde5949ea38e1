from typing import Any

import httpx
import pytest

from services.dicom_node.steps.gateway_errors import (
    GatewayError,
    JobLost,
    KeyConflict,
    NodeRefused,
    PartMissing,
    SeriesRefused,
    TemporaryFailure,
    checked,
)


@pytest.mark.parametrize(
    ("status", "problem", "kind"),
    [
        (422, "unusable_files", SeriesRefused),
        (413, "too_large", SeriesRefused),
        (415, "unsupported_archive", SeriesRefused),
        (413, None, NodeRefused),
        (400, "malformed_request", NodeRefused),
        (401, "unauthorized", NodeRefused),
        (403, "forbidden", NodeRefused),
        (405, "method_not_allowed", NodeRefused),
        (404, "not_found", JobLost),
        (404, "no_blood_map", PartMissing),
        (404, None, NodeRefused),
        (301, None, NodeRefused),
        (409, "idempotency_conflict", KeyConflict),
        (408, None, TemporaryFailure),
        (429, "too_many_requests", TemporaryFailure),
        (500, "internal_error", TemporaryFailure),
        (502, None, TemporaryFailure),
        (503, "not_ready", TemporaryFailure),
        (507, None, TemporaryFailure),
    ],
)
def test_each_response_is_one_kind_of_failure(status: int, problem: str | None, kind: type[GatewayError]) -> None:
    body: dict[str, Any] = {"json": {"code": problem, "detail": "d"}} if problem else {"text": "<html>"}
    with pytest.raises(kind) as raised:
        checked(httpx.Response(status, **body))
    assert type(raised.value) is kind
    assert raised.value.code == (problem or f"http_{status}")


def test_the_gateway_says_how_long_to_wait() -> None:
    with pytest.raises(TemporaryFailure) as raised:
        checked(httpx.Response(503, headers={"retry-after": "7"}, json={"code": "not_ready"}))
    assert raised.value.retry_after_s == 7


def test_success_passes() -> None:
    assert checked(httpx.Response(202)).status_code == 202
    assert checked(httpx.Response(204)).status_code == 204


@pytest.mark.parametrize("body", ["[]", "1", '{"code": 1}', "{", ""])
def test_another_document_is_no_problem(body: str) -> None:
    with pytest.raises(NodeRefused, match="http_422"):
        checked(httpx.Response(422, text=body))

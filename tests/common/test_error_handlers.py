"""Every failure is answered as problem details."""

import json
import logging

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from services.common.observability import JsonFormatter
from services.common.problems import NotReady

pytestmark = pytest.mark.anyio


async def test_a_problem_becomes_problem_details(client: httpx.AsyncClient) -> None:
    answer = await client.get("/big", headers={"x-request-id": "abc"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:ich:problem:too_large",
        "title": "The upload is too large",
        "status": 413,
        "detail": "patient Zebedee's file is too large",
        "code": "too_large",
        "files": ["zebedee.dcm"],
        "request_id": "abc",
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/big", 405, "method_not_allowed"),
        ("GET", "/fault?number=one", 400, "malformed_request"),
        ("GET", "/fault", 500, "internal_error"),
    ],
)
async def test_every_failure_is_problem_details(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["status"], answer.json()["code"]) == (status, status, code)
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "ZeroDivision" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/big", "GET, HEAD, POST"),
        ("POST", "/livez", "GET, HEAD"),
        ("GET", "/upload", "POST"),
        ("HEAD", "/upload", "POST"),
        ("GET", "/nowhere", None),
    ],
)
async def test_405_lists_the_allowed_methods(
    client: httpx.AsyncClient, method: str, path: str, allowed: str | None
) -> None:
    answer = await client.request(method, path)
    assert answer.headers.get("allow") == allowed
    assert answer.status_code == (405 if allowed else 404)


async def test_a_client_that_disconnects_while_sending_is_no_server_error(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    messages: list[Message] = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/upload", "headers": [], "query_string": b""}
    await app(scope, receive, send)
    assert sent[0]["status"] == 499
    assert app.state.metrics.requests.labels("/upload", "POST", 499)._value.get() == 1
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("INFO", None)]


async def test_problems_are_not_cached(client: httpx.AsyncClient) -> None:
    for path in ("/big", "/nowhere", "/fault", "/fault?number=x"):
        assert (await client.get(path)).headers["cache-control"] == "no-store"


async def test_an_invalid_parameter_is_named(client: httpx.AsyncClient) -> None:
    detail = (await client.get("/fault?number=Zebedee")).json()["detail"]
    assert detail.startswith("query.number: Input should be a valid integer")
    assert "Zebedee" not in detail


async def test_a_server_error_is_logged_with_its_cause(
    client: httpx.AsyncClient, app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/broken")
    async def broken() -> None:
        try:
            int("Zebedee")
        except ValueError as error:
            raise NotReady("Zebedee's number is none") from error

    assert (await client.get("/broken")).status_code == 503
    lines = [json.loads(JsonFormatter("example").format(record)) for record in caplog.records]
    (fault,) = (line for line in lines if line["message"] == "problem")
    assert (fault["code"], fault["error"]) == ("not_ready", "NotReady from ValueError")
    assert "Zebedee" not in json.dumps(lines)

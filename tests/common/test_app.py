import asyncio
import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from services.common.app import new_app
from services.common.head_requests import HeadMiddleware
from services.common.observability import JsonFormatter, configure_logging
from services.common.problems import ContentTooLarge, NotReady

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def app() -> FastAPI:
    working = [True]

    async def ready() -> None:
        if not working[0]:
            raise NotReady("the model does not answer")

    app = new_app(title="example", ready=ready, drain_s=0)
    app.state.working = working

    @app.get("/big")
    async def big() -> None:
        raise ContentTooLarge("patient Zebedee's file is too large", files=["zebedee.dcm"])

    @app.post("/big")
    async def send() -> None:
        pass

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        return StreamingResponse(_endless(), media_type="text/event-stream")

    @app.post("/upload")
    async def upload(request: Request) -> int:
        return len(await request.body())

    @app.get("/fault")
    async def fault(number: int = 0) -> float:
        return 1 / number

    return app


async def _endless() -> AsyncIterator[str]:
    while True:
        yield "event\n\n"
        await asyncio.sleep(0.01)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        yield client


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


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/big", "/fault?number=2", "/openapi.json", "/no"])
async def test_head_answers_as_get_without_body(client: httpx.AsyncClient, path: str) -> None:
    get, head = await client.get(path), await client.head(path)
    volatile = {"x-request-id", "content-length"} if path == "/metrics" else {"x-request-id"}
    assert head.status_code == get.status_code
    assert head.content == b""
    assert {name: head.headers[name] for name in get.headers if name not in volatile} == {
        name: value for name, value in get.headers.items() if name not in volatile
    }


async def test_head_of_an_endless_stream_is_answered(client: httpx.AsyncClient, app: FastAPI) -> None:
    head = await asyncio.wait_for(client.head("/endless"), 2)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")
    counted = app.state.metrics.requests.labels("/endless", "HEAD", 200)
    assert counted._value.get() == 1


async def test_head_keeps_its_method_for_the_server() -> None:
    """uvicorn frames the body by the method of the scope at that moment."""
    seen: list[str] = []

    async def inner(scope: Scope, _: Receive, send: Send) -> None:
        seen.append(scope["method"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    async def outer(_: Message) -> None:
        seen.append(scope["method"])

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope: Scope = {"type": "http", "method": "HEAD"}
    await HeadMiddleware(inner)(scope, receive, outer)
    assert seen == ["GET", "HEAD", "HEAD"]


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


async def test_health(client: httpx.AsyncClient, app: FastAPI) -> None:
    assert (await client.get("/livez")).json()["status"] == "alive"
    assert (await client.get("/readyz")).json() == {"status": "ready"}
    app.state.working[0] = False
    unready = await client.get("/readyz")
    assert (unready.status_code, unready.headers["retry-after"]) == (503, "5")
    assert (await client.get("/livez")).status_code == 200


async def test_metrics_count_by_route_not_by_path(client: httpx.AsyncClient) -> None:
    await client.get("/big")
    await client.get("/zebedee.dcm")
    metrics = (await client.get("/metrics")).text
    assert 'ich_requests_total{method="GET",route="/big",status="413"} 1.0' in metrics
    assert 'route="other"' in metrics
    assert "zebedee" not in metrics


@pytest.mark.parametrize("sent", ["", "with space", "x" * 65, "line\tbreak", "ä"])
async def test_an_unsafe_request_id_is_replaced(client: httpx.AsyncClient, sent: str) -> None:
    answer = await client.get("/livez", headers={b"x-request-id": sent.encode()})
    assert answer.headers["x-request-id"] != sent
    assert len(answer.headers["x-request-id"]) == 32


async def test_logs_hold_no_exception_message(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await client.get("/big")
    lines = [JsonFormatter("example").format(record) for record in caplog.records]
    assert any(json.loads(line).get("route") == "/big" for line in lines)
    assert "ebedee" not in "".join(lines)


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


def test_an_exception_is_logged_as_class_and_stack(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("example")
    try:
        int("Zebedee")
    except ValueError:
        logging.getLogger("example").exception("failed")
    line = json.loads(capsys.readouterr().err)
    assert (line["service"], line["level"], line["error"]) == ("example", "error", "ValueError")
    assert "test_app.py" in line["trace"][0]
    assert "Zebedee" not in json.dumps(line)
    logging.getLogger().handlers.clear()

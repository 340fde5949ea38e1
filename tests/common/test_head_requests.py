"""HEAD of every GET route."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from services.common.head_requests import HeadMiddleware

pytestmark = pytest.mark.anyio


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

"""Work of a request ends with its client's connection."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI, Request

from services.common.client_disconnect import cancel_on_disconnect
from services.common.problems import ClientClosedRequest

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_work_is_cancelled_when_the_client_disconnects() -> None:
    ended = asyncio.Event()

    async def work() -> str:
        try:
            await asyncio.sleep(10)
        finally:
            ended.set()
        return "never returned"

    async def receive() -> dict[str, str]:
        await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    with pytest.raises(ClientClosedRequest):
        await cancel_on_disconnect(Request({"type": "http"}, receive), work())
    assert ended.is_set()


async def test_the_result_of_completed_work_is_returned() -> None:
    app = FastAPI()

    @app.post("/")
    async def answer(request: Request) -> str:
        await request.body()
        return await cancel_on_disconnect(request, asyncio.sleep(0, "done"))

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        assert (await client.post("/", content=b"x")).json() == "done"

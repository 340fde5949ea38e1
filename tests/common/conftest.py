"""Fixtures: an example application and its client."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from services.common.app import new_app
from services.common.problems import ContentTooLarge, NotReady


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def app() -> FastAPI:
    """An application with routes that fail; `app.state.working[0]` switches its readiness."""
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

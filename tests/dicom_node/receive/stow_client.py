"""A client of STOW-RS for tests, and the application that it calls."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from fastapi import FastAPI

from services.common.app import new_app
from services.common.identity.api_keys import ApiKeys
from services.common.identity.authentication import Identity, add_identity
from services.dicom_node.inbox import Inbox
from services.dicom_node.receive.stow import StowReceiver, stow_router
from services.dicom_node.settings import Settings

BOUNDARY = "a-boundary"
CONTENT_TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
PART = b"Content-Type: application/dicom\r\n"


async def _ready() -> None:
    """A receiver is always ready."""


def stow_app(settings: Settings, inbox: Inbox, keys: Path | None = None) -> FastAPI:
    app = new_app(title="STOW-RS", ready=_ready, drain_s=0)
    add_identity(app, Identity(ApiKeys.read(keys)))
    app.state.receiver = StowReceiver(settings, inbox)
    app.include_router(stow_router(app.state.receiver))
    return app


@asynccontextmanager
async def stow_client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node") as client:
        yield client


def multipart(files: Iterable[bytes], header: bytes = PART) -> bytes:
    parts = b"".join(b"--%s\r\n%s\r\n%s\r\n" % (BOUNDARY.encode(), header, file) for file in files)
    return parts + b"--%s--\r\n" % BOUNDARY.encode()


async def post(client: httpx.AsyncClient, body: bytes, study: str = "", **headers: str) -> httpx.Response:
    named = {"content-type": CONTENT_TYPE} | {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(f"/dicom-web/studies{study}", content=body, headers=named)

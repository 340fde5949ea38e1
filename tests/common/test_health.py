"""Liveness and readiness."""

import httpx
import pytest
from fastapi import FastAPI

pytestmark = pytest.mark.anyio


async def test_health(client: httpx.AsyncClient, app: FastAPI) -> None:
    assert (await client.get("/livez")).json()["status"] == "alive"
    assert (await client.get("/readyz")).json() == {"status": "ready"}
    app.state.working[0] = False
    unready = await client.get("/readyz")
    assert (unready.status_code, unready.headers["retry-after"]) == (503, "5")
    assert (await client.get("/livez")).status_code == 200

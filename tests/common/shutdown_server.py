"""A service that only ends, for `test_drain`: run by uvicorn in a process of its own."""

import asyncio

from fastapi import FastAPI

from services.common.app import new_app


async def _ready() -> None:
    pass


def create() -> FastAPI:
    """Half a second is long enough to ask, a second and a half to be still at work when the server closes."""
    app = new_app(title="draining", ready=_ready, drain_s=0.5)

    @app.get("/work")
    async def work() -> dict[str, str]:
        await asyncio.sleep(1.5)
        return {"work": "done"}

    return app

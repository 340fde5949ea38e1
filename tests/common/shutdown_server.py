"""A service for `test_graceful_shutdown`, which runs it under uvicorn in a process of its own."""

import asyncio

from fastapi import FastAPI

from services.common.app import new_app


async def _ready() -> None:
    pass


def create() -> FastAPI:
    """Readiness is off for 0.5 s before the socket closes; `/work` takes 1.5 s, and so outlasts the socket."""
    app = new_app(title="shutdown", ready=_ready, drain_s=0.5)

    @app.get("/work")
    async def work() -> dict[str, str]:
        await asyncio.sleep(1.5)
        return {"work": "done"}

    return app

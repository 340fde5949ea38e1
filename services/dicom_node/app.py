"""The DICOM node's HTTP: health, metrics, and the routes of its parts."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.middleware import Middleware

from services.common.app import new_app
from services.common.cross_origin import CrossOriginMiddleware
from services.common.graceful_shutdown import State
from services.common.observability import configure_logging
from services.dicom_node.node import Node
from services.dicom_node.settings import Settings

_DESCRIPTION: Final = """Receives head CT by C-STORE and STOW-RS, lets the gateway assess it, sends results as DICOM.

**Research software, not a medical device.**"""


def create_app(node: Node, settings: Settings) -> FastAPI:
    """The application of a node, which starts and stops with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with node.running():
            yield None

    return new_app(
        title="DICOM node",
        description=_DESCRIPTION,
        ready=node.check_ready,
        drain_s=settings.drain_s,
        middleware=[Middleware(CrossOriginMiddleware)],
        lifespan=lifespan,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
    )


def create() -> FastAPI:
    """The node with the settings of the environment, for uvicorn."""
    configure_logging("dicom-node")
    settings = Settings.read()
    app = create_app(Node.create(settings), settings)
    gc.freeze()  # the collector passes over all objects of the start
    return app

"""The DICOM node's HTTP: health, metrics, status, STOW-RS and pull."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from services.common.app import new_app
from services.common.connections.client_address import Proxies
from services.common.connections.metrics import ConnectionMetrics
from services.common.connections.table import CONNECTIONS, PROXIES, ConnectionLimits, ConnectionTable
from services.common.graceful_shutdown import State
from services.common.identity.authentication import Identity, add_identity
from services.common.identity.metrics import IdentityMetrics
from services.common.observability import configure_logging
from services.common.private_folder import restrict_umask
from services.common.tracing import configure_tracing
from services.dicom_node.middleware import node_middleware
from services.dicom_node.node import Node
from services.dicom_node.pull.routes import pull_router
from services.dicom_node.receive.stow import stow_router
from services.dicom_node.settings import Settings
from services.dicom_node.status.metrics import LiveCounts, StatusMetrics
from services.dicom_node.status.routes import add_status_routes

_DESCRIPTION: Final = """Receives head CT by C-STORE and STOW-RS, lets the gateway assess it, sends results as DICOM.

**Research software, not a medical device.**"""


def create_app(node: Node) -> FastAPI:
    """The application of a node, which starts and stops with it."""
    connections, proxies = ConnectionTable(ConnectionLimits.of(node.settings)), Proxies(node.settings.proxies)
    identity = Identity.create(node.settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with connections.sweeping(), identity.running(), node.running():
            yield {CONNECTIONS: connections, PROXIES: proxies}

    app = new_app(
        title="DICOM node",
        description=_DESCRIPTION,
        ready=node.check_ready,
        drain_s=node.settings.drain_s,
        middleware=node_middleware(node.settings),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.metrics.registry.register(IdentityMetrics(identity))
    app.state.metrics.registry.register(ConnectionMetrics(connections, identity.keys.throttle))
    live = LiveCounts(node.receiver, node.stow, node.steps.failures)
    app.state.metrics.registry.register(StatusMetrics(node.read_registry, live, node.settings.quota_bytes))
    app.include_router(stow_router(node.stow))
    app.include_router(pull_router(node.puller, node.settings.max_pulls))
    add_status_routes(app, node.status)
    add_identity(app, identity)
    return app


def create() -> FastAPI:
    """The node with the settings of the environment, for uvicorn."""
    configure_logging("dicom-node")
    configure_tracing("dicom-node")
    restrict_umask()
    app = create_app(Node.create(Settings.read()))
    gc.freeze()  # the collector passes over all objects of the start
    return app

"""The application factory of every service: problems, health, metrics, logs and request ids."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio import to_thread
from fastapi import FastAPI

from services.common.error_handlers import add_error_handlers
from services.common.graceful_shutdown import GracefulShutdown, Lifespan, State
from services.common.head_requests import HeadMiddleware
from services.common.health import add_health_routes
from services.common.observability import Metrics
from services.common.observability_middleware import ObservabilityMiddleware
from services.common.problem_schemas import DEFAULT_RESPONSE, add_problem_schemas, extend_openapi
from services.common.readiness import Readiness, ReadyCheck
from services.common.tracing import shutdown_tracing
from services.common.version import VERSION

# FastAPI's own spans and logs hold paths and messages of exceptions; ours do not (`tracing.py`).
_NO_TELEMETRY: Final = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def new_app(
    *,
    title: str,
    ready: ReadyCheck,
    drain_s: float,
    make: Callable[..., FastAPI] = FastAPI,
    lifespan: Lifespan | None = None,
    **options: Any,
) -> FastAPI:
    """An application with health checks, metrics, logs and problem responses.

    Parameters
    ----------
    ready : raises a Problem while the service cannot serve requests
    drain_s : seconds between SIGTERM and closing the listening socket; readiness is off meanwhile
    make : creates the application from `options`
    """
    shutdown = GracefulShutdown(drain_s)
    with_shutdown = _exporting_traces(shutdown.wrap_lifespan(lifespan))
    own = {"lifespan": with_shutdown, "responses": DEFAULT_RESPONSE, "telemetry": _NO_TELEMETRY}
    app = make(title=title, version=VERSION, **own, **options)
    extend_openapi(app, add_problem_schemas)
    app.state.metrics, app.state.shutdown, app.state.readiness = Metrics(), shutdown, Readiness(ready, shutdown)
    app.state.livez = {"status": "alive", "version": VERSION}
    app.add_middleware(HeadMiddleware)
    app.add_middleware(ObservabilityMiddleware, metrics=app.state.metrics)
    add_error_handlers(app)
    add_health_routes(app)
    return app


def _exporting_traces(lifespan: Lifespan) -> Lifespan:
    """The lifespan, after which the last traces are exported."""

    @asynccontextmanager
    async def exporting(app: FastAPI) -> AsyncIterator[State]:
        async with lifespan(app) as state:
            yield state
        await to_thread.run_sync(shutdown_tracing)

    return exporting

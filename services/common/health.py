"""Routes for liveness, readiness and metrics."""

from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client.exposition import choose_encoder

from services.common.observability import Metrics
from services.common.problem_schemas import DEFAULT_RESPONSE, openapi_problem
from services.common.problems import NotReady
from services.common.readiness import Readiness

_NOT_READY: Final[dict[int | str, dict[str, Any]]] = {
    503: openapi_problem(NotReady("cnn cannot be reached", stage="cnn", cause="stage_failed"))
}
_METRICS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "In Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


async def livez(request: Request) -> dict[str, str]:
    found: dict[str, str] = request.app.state.livez
    return found


async def readyz(request: Request) -> dict[str, str]:
    readiness: Readiness = request.app.state.readiness
    await readiness.check()
    return {"status": "ready"}


def metrics(request: Request) -> Response:  # runs in a thread: collectors may read a disk or another server
    found: Metrics = request.app.state.metrics
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(found.registry), media_type=media_type, headers={"vary": "accept"})


def add_health_routes(app: FastAPI) -> None:
    """Add `/livez`, `/readyz` and `/metrics`."""
    router = APIRouter(tags=["health"], responses=DEFAULT_RESPONSE)
    router.get("/livez", operation_id="livez", summary="Liveness: 200 while the process runs")(livez)
    readiness = "Readiness: 200 while the service can serve requests"
    router.get("/readyz", operation_id="readyz", summary=readiness, responses=_NOT_READY)(readyz)
    options: dict[str, Any] = {"response_class": Response, "responses": _METRICS}
    router.get("/metrics", operation_id="metrics", summary="Metrics for Prometheus", **options)(metrics)
    app.include_router(router)

"""The gateway's HTTP: the public API and the page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel

from services.common.app import new_app
from services.common.card import Card
from services.common.observability import configure_logging
from services.common.operating_points import OperatingPoint
from services.common.problem_schemas import extend_openapi
from services.common.problems import NotReady
from services.common.schemas import Report
from services.gateway.api_keys import authenticate
from services.gateway.bundle import Bundles
from services.gateway.jobs.api import add_job_routes
from services.gateway.jobs.connection import connect_redis
from services.gateway.jobs.metrics import QueueMetrics
from services.gateway.jobs.service import JobService
from services.gateway.middleware import gateway_middleware
from services.gateway.openapi import MODEL_ANSWERS, PREDICTION_ANSWERS, PREDICTION_BODY, mark_key_optional
from services.gateway.pipeline import Pipeline
from services.gateway.predictions import PredictionService
from services.gateway.query import check_query
from services.gateway.report import DISCLAIMER
from services.gateway.settings import Settings
from services.gateway.spool import Spool
from services.gateway.stage_client import StageFault, Stages, connect_all

_PAGES: Final = Path(__file__).parent / "pages"
_DESCRIPTION: Final = f"""How probable is each kind of intracranial haemorrhage on this head CT?

Send one axial slice or a series as DICOM, a zip of it, or 512 x 512 RGB pictures of the three windows.

**{DISCLAIMER}**"""


class ServedModel(BaseModel):
    """The bundle that answers, and the thresholds that stand where a request names none."""

    sha256: str
    operating_point: OperatingPoint
    card: Card


class _Pages(StaticFiles):
    """The page's files: asked for anew after each update, believed to be what they say, framed by nobody."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        response.headers["x-content-type-options"] = "nosniff"
        response.headers["content-security-policy"] = "frame-ancestors 'none'"
        return response


def create_app(stages: Stages, settings: Settings) -> FastAPI:
    """The gateway in front of three stages."""
    bundles = Bundles(stages)
    spool = Spool(settings.spool_dir)
    predictions = PredictionService(spool, Pipeline(stages, settings, bundles), bundles, settings)
    redis = connect_redis(settings)
    jobs = JobService.create(settings, redis, bundles)

    async def ready() -> None:
        try:
            await bundles.check()
        except StageFault as fault:
            raise NotReady(fault.detail, cause=fault.code, **fault.extra) from fault

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        spool.open()
        async with jobs.running():
            yield
        await stages.close()
        redis.close()

    app = new_app(
        title="Intracranial haemorrhage on head CT",
        ready=ready,
        drain_s=settings.drain_s,
        make=FastAPIOffline,
        description=_DESCRIPTION,
        dependencies=[Depends(check_query)],
        middleware=gateway_middleware(settings.cors_origins),
        lifespan=lifespan,
        static_url="/docs-assets",
    )
    _add_predictions(app, predictions)
    _add_models(app, bundles, settings.operating_point)
    add_job_routes(app, jobs)
    if not jobs.api_keys.required:
        extend_openapi(app, mark_key_optional)
    app.state.metrics.registry.register(QueueMetrics(redis, jobs.store))
    app.mount("/", _Pages(directory=_PAGES, html=True))
    return app


def _add_predictions(app: FastAPI, predictions: PredictionService) -> None:
    @app.post(
        "/v1/predictions",
        tags=["predictions"],
        operation_id="predict",
        summary="Assess one slice or one series, and wait for the report",
        responses=PREDICTION_ANSWERS,
        openapi_extra=PREDICTION_BODY,
        dependencies=[Depends(authenticate)],
    )
    async def predict(
        request: Request,
        response: Response,
        images: Annotated[bool, Query(description="add each slice's picture, as base64 PNG")] = False,  # noqa: FBT002
        operating_point: Annotated[
            OperatingPoint | None, Query(description="which thresholds; else the site's")
        ] = None,
    ) -> Report:
        report = await predictions.predict(request, images=images, operating_point=operating_point)
        response.headers["server-timing"] = _server_timing(report.timings_ms.model_dump())
        app.state.metrics.slices.inc(len(report.slices))
        return report


def _add_models(app: FastAPI, bundles: Bundles, site_point: OperatingPoint) -> None:
    @app.get(
        "/v1/models",
        tags=["models"],
        operation_id="get_model",
        summary="The card of the bundle that answers",
        responses=MODEL_ANSWERS,
    )
    async def models() -> ServedModel:
        served = await bundles.served()
        return ServedModel(sha256=served.card_sha256, operating_point=site_point, card=served.card)


def _server_timing(timings_ms: dict[str, Any]) -> str:
    return ", ".join(f"{name};dur={ms}" for name, ms in timings_ms.items())


def create() -> FastAPI:
    """The gateway as it is served."""
    configure_logging("gateway")
    settings = Settings.read()
    return create_app(connect_all(settings), settings)

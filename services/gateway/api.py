"""Routes of predictions and of the served model: `/v1/predictions` and `/v1/models`."""

from typing import Annotated, Final

from fastapi import Depends, FastAPI, Query, Request, Response
from pydantic import BaseModel, Field

from services.common.addenda import Addendum, LevelFigures, RefusedAddendum
from services.common.card import Card
from services.common.clients import Client
from services.common.identity.authentication import identify, requires
from services.common.observability import Metrics
from services.common.operating_points import OperatingPoint
from services.common.report_schemas import Report, Timings
from services.gateway.prediction_responses import MODEL_RESPONSES, PREDICTION_BODY, PREDICTION_RESPONSES
from services.gateway.predictions import PredictionService
from services.gateway.report import ReportOptions

_PREDICTIONS: Final = "/v1/predictions"
# Prometheus sees no increase of a counter that begins with its first request, and KEDA starts cnn by that increase.
COUNTED_FROM_START: Final = (200, 502, 503, 504)


class ServedModel(BaseModel):
    """The served bundle, its evaluations on patients, and the site's settings for readers."""

    sha256: str
    operating_point: OperatingPoint = Field(description="of requests that name none")
    prevalence: float | None = Field(description="share of patients with a haemorrhage, as the site sets it")
    card: Card
    card_figures: LevelFigures | None = Field(description="the card's metrics, where they are of patients; else null")
    engines: dict[str, str] = Field(
        description="name and version of the engine of `cnn` and `rnn`, where they state it"
    )
    addenda: tuple[Addendum, ...] = Field(description="evaluations on a site's patients, for this card")
    addenda_refused: tuple[RefusedAddendum, ...] = Field(description="addenda that are not used, and why")


def prediction_service(request: Request) -> PredictionService:
    """The application's PredictionService, as a dependency."""
    service: PredictionService = request.app.state.predictions
    return service


def metrics(request: Request) -> Metrics:
    """The application's metrics, as a dependency."""
    found: Metrics = request.app.state.metrics
    return found


Service = Annotated[PredictionService, Depends(prediction_service)]


async def predict(  # noqa: PLR0913 - each is a parameter of the API
    *,
    request: Request,
    response: Response,
    service: Service,
    client: Annotated[Client, Depends(identify)],
    counters: Annotated[Metrics, Depends(metrics)],
    images: Annotated[bool, Query(description="add each slice's picture, as base64 PNG")] = False,
    key_images: Annotated[bool, Query(description="add the pictures of `key_slices` only, as base64 PNG")] = False,
    blood: Annotated[bool, Query(description="add the blood map, as base64")] = False,
    operating_point: Annotated[
        OperatingPoint | None, Query(description="thresholds of the predictions; default: the site's setting")
    ] = None,
) -> Report:
    """The files are one slice, one series, or independent PNG slices; several series belong in a job."""
    options = ReportOptions(images=images, key_images=key_images, blood=blood)
    report = await service.predict(request, client, options, operating_point)
    response.headers["server-timing"] = _server_timing(report.timings_ms)
    counters.slices.inc(len(report.slices))
    return report


async def get_model(service: Service) -> ServedModel:
    """Reports name the bundle by the SHA-256 of its card."""
    served = await service.bundles.served()
    return ServedModel(
        sha256=served.card_sha256,
        operating_point=service.settings.operating_point,
        prevalence=service.settings.prevalence,
        card=served.card,
        card_figures=served.card.patient_figures,
        engines=await service.bundles.engines(),
        addenda=served.addenda.accepted,
        addenda_refused=served.addenda.refused,
    )


def _server_timing(timings_ms: Timings) -> str:
    return ", ".join(f"{name};dur={ms}" for name, ms in timings_ms.model_dump().items())


def add_prediction_routes(app: FastAPI, service: PredictionService) -> None:
    """Serve predictions and the model."""
    app.state.predictions = service
    for status in COUNTED_FROM_START:
        app.state.metrics.requests.labels(_PREDICTIONS, "POST", status)
    app.add_api_route(
        _PREDICTIONS,
        predict,
        methods=["POST"],
        tags=["predictions"],
        operation_id="predict",
        dependencies=[requires("submit")],
        summary="Assess one slice or one series, and wait for the report",
        responses=PREDICTION_RESPONSES,
        openapi_extra=PREDICTION_BODY,
    )
    app.add_api_route(
        "/v1/models",
        get_model,
        tags=["models"],
        operation_id="get_model",
        summary="The card of the served bundle, and its addenda",
        responses=MODEL_RESPONSES,
    )

"""Routes of the Open Inference Protocol v2 with its binary tensor extension."""

from contextlib import ExitStack
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.types import Receive, Scope, Send

from services.common.client_disconnect import cancel_on_disconnect
from services.common.observability import Metrics
from services.common.problems import BadRequest
from services.common.readiness import Readiness
from services.common.request_body import content_length, read_body
from services.common.shared_memory_regions import EXTENSION, RegionTooSmall
from services.common.stage import Stage, StageModel, TensorSpec
from services.common.tensors import HEADER_LENGTH, Buffer, FilePart, Message, Tensor, decode, encode
from services.common.version import VERSION

router: Final = APIRouter(prefix="/v2")


class _Metadata(BaseModel):
    model_config = ConfigDict(frozen=True)


class ServerMetadata(_Metadata):
    name: str
    version: str
    extensions: tuple[str, ...]


class ModelMetadata(_Metadata):
    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: dict[str, Any]


class ModelReady(_Metadata):
    name: str
    ready: bool


async def current_stage(request: Request) -> Stage:
    """The application's stage, as a dependency."""
    stage: Stage = request.app.state.stage
    return stage


CurrentStage = Annotated[Stage, Depends(current_stage)]


async def named_model(name: str, stage: CurrentStage) -> StageModel:
    """The model of a path, as a dependency, or NotFound."""
    return stage.model(name)


NamedModel = Annotated[StageModel, Depends(named_model)]


async def service_readiness(request: Request) -> Readiness:
    """The application's readiness, as a dependency."""
    readiness: Readiness = request.app.state.readiness
    return readiness


ServiceReadiness = Annotated[Readiness, Depends(service_readiness)]


@router.get("")
async def server_metadata(request: Request, stage: CurrentStage) -> ServerMetadata:
    extensions = ("binary_tensor_data", *((EXTENSION,) if stage.regions.enabled else ()))
    return ServerMetadata(name=request.app.title, version=VERSION, extensions=extensions)


@router.get("/health/live")
async def server_live() -> dict[str, bool]:
    return {"live": True}


@router.get("/health/ready")
async def server_ready(readiness: ServiceReadiness) -> dict[str, bool]:
    await readiness.check()
    return {"ready": True}


@router.get("/models/{name}")
async def model_metadata(model: NamedModel) -> ModelMetadata:
    return ModelMetadata(
        name=model.name,
        versions=("1",),
        platform=model.platform,
        inputs=tuple(model.inputs),
        outputs=tuple(model.outputs),
        parameters=dict(model.parameters),
    )


@router.get("/models/{name}/ready")
async def model_ready(model: NamedModel, readiness: ServiceReadiness) -> ModelReady:
    await readiness.check()
    return ModelReady(name=model.name, ready=True)


@router.post("/models/{name}/infer", response_class=Response)
async def infer(model: NamedModel, stage: CurrentStage, request: Request) -> Response:
    limit_bytes = stage.settings.max_body_bytes
    body_bytes = content_length(request) or limit_bytes
    with ExitStack() as reservation:
        reservation.enter_context(stage.runner.reserve(body_bytes))
        body = await read_body(request, limit_bytes)
        message = decode(body, request.headers.get(HEADER_LENGTH), "inputs", stage.regions)
        if message.shared_bytes:
            reservation.close()
            reservation.enter_context(stage.runner.reserve(body_bytes + message.shared_bytes))
        answer, work_ms = await cancel_on_disconnect(request, stage.infer(model, message))
    metrics: Metrics = request.app.state.metrics
    metrics.slices.inc(model.count_slices(message))
    return InferResponse(_select_outputs(answer, message, model), model.name, work_ms)


class InferResponse(Response):
    """A response whose tensors are sent uncopied."""

    def __init__(self, answer: Message, model: str, work_ms: float) -> None:
        header, parts = encode(answer, "outputs", model_name=model, model_version="1")
        self._parts: list[Buffer | FilePart] = [header, *parts]
        headers = {
            HEADER_LENGTH: str(len(header)),
            "content-length": str(sum(map(len, self._parts))),
            "server-timing": f"work;dur={work_ms:.3f}",
        }
        super().__init__(None, headers=headers, media_type="application/octet-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for part in self._parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _select_outputs(answer: Message, request: Message, model: StageModel) -> Message:
    """The requested tensors, each in the region that the request offers for it."""
    names = request.requested_outputs
    known = [spec.name for spec in model.outputs]
    if unknown := [name for name in names if name not in known]:
        raise BadRequest(f"there is no output {unknown[0]!r}; the outputs are {', '.join(sorted(known))}")
    tensors = [tensor for tensor in answer.tensors if not names or tensor.name in names]
    return Message(tuple(_place(tensor, request) for tensor in tensors), answer.parameters, request.id)


def _place(tensor: Tensor, request: Message) -> Tensor:
    """The tensor in its region, copied unless the model has written it there."""
    buffer = request.shared_outputs.get(tensor.name)
    if buffer is None or tensor.shared:
        return tensor
    if tensor.nbytes > len(buffer.view):
        raise RegionTooSmall(f"{tensor.name!r} has {tensor.nbytes} bytes, and its range {len(buffer.view)}")
    buffer.view[: tensor.nbytes] = tensor.buffer
    return replace(tensor, shared=buffer.first(tensor.nbytes))

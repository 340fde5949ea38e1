"""A stage of the chain: models behind the Open Inference Protocol v2, as one application."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from services.common.app import log_server_error, new_app, problem_response
from services.common.client_disconnect import cancel_on_disconnect
from services.common.problems import BadRequest, ContentTooLarge, NotFound, NotReady, Problem, UnsupportedMediaType
from services.common.runners import Runner
from services.common.settings import StageSettings
from services.common.tensors import HEADER_LENGTH, Buffer, FilePart, Message, decode, encode
from services.common.version import VERSION

PROBE_AFTER_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor in a model's metadata; -1 in `shape` is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class StageModel(Protocol):
    """One model of a stage. `infer` runs in worker threads, several at a time."""

    name: str
    platform: str
    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Metadata beside the tensors, such as the recipe's fingerprint and the card."""
        ...

    def example(self) -> Message:
        """A small request for the readiness check."""
        ...

    def infer(self, message: Message) -> Message:
        """The response to a request, or a Problem."""
        ...

    def count_slices(self, message: Message) -> int:
        """The number of slices in a request, for the metrics."""
        ...


class Stage:
    """Models, their runner, and the time of each model's last response."""

    def __init__(self, models: Sequence[StageModel], settings: StageSettings, runner: Runner) -> None:
        self.models = {model.name: model for model in models}
        self.settings = settings
        self.runner = runner
        self._answered_at = dict.fromkeys(self.models, float("-inf"))

    def model(self, name: str) -> StageModel:
        """A model by its name, or NotFound."""
        if name not in self.models:
            raise NotFound(f"there is no model {name!r}; the models are {', '.join(self.models)}")
        return self.models[name]

    async def infer(self, model: StageModel, message: Message) -> tuple[Message, float]:
        """The response and its milliseconds of work."""
        answer, work_ms = await self.runner.run(model, message)
        self._answered_at[model.name] = time.monotonic()
        return answer, work_ms

    async def ready(self) -> None:
        """Send the example to each model without a recent response; NotReady if it fails."""
        for model in self.models.values():
            if time.monotonic() - self._answered_at[model.name] < PROBE_AFTER_S:
                continue
            try:
                await self.infer(model, model.example())
            except Exception as error:
                raise NotReady(f"model {model.name!r} does not answer") from error


class _InferResponse(Response):
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


def stage_app(title: str, models: Sequence[StageModel], settings: StageSettings, runner: Runner) -> FastAPI:
    """The application of one stage. It has no OpenAPI document: the protocol documents its routes."""
    stage = Stage(models, settings, runner)
    app = new_app(title=title, ready=stage.ready, drain_s=settings.drain_s, openapi_url=None)
    _add_protocol(app, stage)

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        log_server_error(request, error)
        return problem_response(error, error=error.detail)  # `error` is the protocol's member

    return app


def _add_protocol(app: FastAPI, stage: Stage) -> None:
    @app.get("/v2")
    async def server() -> dict[str, Any]:
        return {"name": app.title, "version": VERSION, "extensions": ["binary_tensor_data"]}

    @app.get("/v2/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/v2/health/ready")
    async def ready() -> dict[str, bool]:
        await app.state.readiness.check()
        return {"ready": True}

    @app.get("/v2/models/{name}")
    async def metadata(name: str) -> dict[str, Any]:
        return _metadata(stage.model(name))

    @app.get("/v2/models/{name}/ready")
    async def model_ready(name: str) -> dict[str, Any]:
        stage.model(name)
        await app.state.readiness.check()
        return {"name": name, "ready": True}

    @app.post("/v2/models/{name}/infer", response_class=Response)
    async def infer(name: str, request: Request) -> Response:
        model = stage.model(name)
        limit_bytes = stage.settings.max_body_bytes
        with stage.runner.reserve(content_length(request) or limit_bytes):
            body = await read_body(request, limit_bytes)
            message = decode(body, request.headers.get(HEADER_LENGTH), "inputs")
            answer, work_ms = await cancel_on_disconnect(request, stage.infer(model, message))
        app.state.metrics.slices.inc(model.count_slices(message))
        return _InferResponse(_select_outputs(answer, message), name, work_ms)


def _metadata(model: StageModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "versions": ["1"],
        "platform": model.platform,
        "inputs": [_spec(spec) for spec in model.inputs],
        "outputs": [_spec(spec) for spec in model.outputs],
        "parameters": dict(model.parameters),
    }


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _select_outputs(answer: Message, request: Message) -> Message:
    known = {tensor.name for tensor in answer.tensors}
    if unknown := [name for name in request.requested_outputs if name not in known]:
        raise BadRequest(f"there is no output {unknown[0]!r}; the outputs are {', '.join(sorted(known))}")
    tensors = [
        tensor for tensor in answer.tensors if not request.requested_outputs or tensor.name in request.requested_outputs
    ]
    return Message(tuple(tensors), answer.parameters, request.id)


async def read_body(request: Request, limit_bytes: int) -> bytearray:
    """The whole body, allocated once where Content-Length states its length.

    Raises
    ------
    UnsupportedMediaType
        the body is compressed
    ContentTooLarge
        the body exceeds `limit_bytes`
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType("the request body is compressed; send it without Content-Encoding")
    size = content_length(request)
    if size > limit_bytes:
        raise ContentTooLarge(f"the request body exceeds {limit_bytes} bytes")
    body, filled = bytearray(size), 0
    async for piece in request.stream():
        if filled + len(piece) > limit_bytes:
            raise ContentTooLarge(f"the request body exceeds {limit_bytes} bytes")
        body[filled : filled + len(piece)] = piece
        filled += len(piece)
    return body


def content_length(request: Request) -> int:
    """Content-Length; 0 where it is absent or invalid."""
    stated = request.headers.get("content-length", "")
    return int(stated) if stated.isascii() and stated.isdigit() else 0

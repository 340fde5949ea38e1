"""The three stages as the gateway sees them: one HTTP POST each, time-outs, one retry, and their faults as problems.

StageFault                    a stage let the gateway down
|- StageFailed        502     it broke, or answered what can't be understood
|- RecipeMismatch     502     it refuses the pixels' recipe
|- BundleMismatch     502     cnn and rnn serve different bundles
|- StageBusy          503     it has too much to do
|- StageTimeout          504     it did not answer in time
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx

from services.common.observability import REQUEST_ID, current_request_id
from services.common.problems import BadRequest, Problem
from services.common.tensors import HEADER_LENGTH, TIMEOUT_PARAMETER, Buffer, FilePart, Message, decode, encode
from services.gateway.settings import Settings

_PIECE_BYTES: Final = 256 * 1024
_RETRY_AFTER_S: Final = 0.25
_WORK: Final = re.compile(r"work;dur=([0-9.]+)")
# Shorter than the stages' own 65 s, so that a connection is never used while the other side closes it.
_KEEP_ALIVE_S: Final = 4.0


class StageFault(Problem):
    pass


class StageFailed(StageFault):
    status = 502
    code = "stage_failed"
    title = "A stage of the chain failed"
    retry_after_s = 10


class RecipeMismatch(StageFault):
    status = 502
    code = "recipe_mismatch"
    title = "preprocess makes other pixels than the network learnt from"


class BundleMismatch(StageFault):
    status = 502
    code = "bundle_mismatch"
    title = "cnn and rnn serve different bundles"


class StageBusy(StageFault):
    status = 503
    code = "stage_busy"
    title = "A stage of the chain has too much to do"
    retry_after_s = 5


class StageTimeout(StageFault):
    status = 504
    code = "stage_slow"
    title = "A stage of the chain did not answer in time"
    retry_after_s = 30


_MISMATCHES: Final[Mapping[str, type[StageFault]]] = {
    RecipeMismatch.code: RecipeMismatch,
    BundleMismatch.code: BundleMismatch,
}


class _Unreachable(Exception):
    """The connection was refused or broke; the stages keep no state, so asking once more is safe."""


@dataclass(frozen=True, slots=True)
class StageResponse:
    """What a stage answered, and the milliseconds that it worked on it."""

    message: Message
    work_ms: float


class StageClient:
    """One stage."""

    def __init__(self, name: str, client: httpx.AsyncClient) -> None:
        self.name = name
        self._client = client

    async def infer(self, model: str, message: Message) -> StageResponse:
        """Ask a model, a second time where the first try did not reach it.

        Raises
        ------
        StageFault
            one of the kinds above.
        """
        try:
            return await self._infer_once(model, message)
        except (_Unreachable, StageBusy):
            await asyncio.sleep(_RETRY_AFTER_S)
        try:
            return await self._infer_once(model, message)
        except _Unreachable as error:
            raise StageFailed(f"{self.name} cannot be reached", stage=self.name) from error

    async def metadata(self, model: str) -> Mapping[str, Any]:
        """What a model says of itself in `parameters`."""
        document = await self._get(f"/v2/models/{model}")
        parameters: Mapping[str, Any] = document.get("parameters", {})
        return parameters

    async def ready(self) -> None:
        """StageFault where the stage is not ready."""
        await self._get("/v2/health/ready")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _get(self, path: str) -> Mapping[str, Any]:
        try:
            answer = await self._client.get(path, headers={REQUEST_ID: current_request_id()})
        except httpx.TimeoutException as error:
            raise StageTimeout(f"{self.name} did not answer in time", stage=self.name) from error
        except httpx.TransportError as error:
            raise StageFailed(f"{self.name} cannot be reached", stage=self.name) from error
        if answer.is_error:
            raise self._fault(answer.status_code, answer.content)
        document: Mapping[str, Any] = answer.json()
        return document

    async def _infer_once(self, model: str, message: Message) -> StageResponse:
        header, parts = encode(self._timed(message), "inputs")
        headers = {
            HEADER_LENGTH: str(len(header)),
            "content-length": str(len(header) + sum(map(len, parts))),
            "content-type": "application/octet-stream",
            REQUEST_ID: current_request_id(),
        }
        content = _stream([header, *parts])
        try:
            async with self._client.stream(
                "POST", f"/v2/models/{model}/infer", headers=headers, content=content
            ) as answer:
                body = await _read(answer)
        except httpx.TimeoutException as error:
            raise StageTimeout(f"{self.name} did not answer in time", stage=self.name) from error
        except httpx.TransportError as error:
            raise _Unreachable from error
        if answer.is_error:
            raise self._fault(answer.status_code, body)
        return self._understand(answer.headers, body)

    def _timed(self, message: Message) -> Message:
        """The message with how long its answer is waited for: what comes too late need not be begun."""
        seconds = self._client.timeout.read
        if seconds is None:
            return message
        return replace(message, parameters={**message.parameters, TIMEOUT_PARAMETER: round(seconds * 1e6)})

    def _understand(self, headers: httpx.Headers, body: Buffer) -> StageResponse:
        work = _WORK.search(headers.get("server-timing", ""))
        try:
            return StageResponse(decode(body, headers.get(HEADER_LENGTH), "outputs"), float(work[1]) if work else 0.0)
        except BadRequest as error:
            raise StageFailed(f"the answer of {self.name} is not understood", stage=self.name) from error

    def _fault(self, status: int, body: Buffer) -> Problem:
        document = _json(body)
        if status == httpx.codes.CONFLICT and document.get("code") in _MISMATCHES:
            return _MISMATCHES[document["code"]](str(document.get("detail")), stage=self.name)
        if status == httpx.codes.SERVICE_UNAVAILABLE:
            return StageBusy(f"{self.name} takes no more work now", stage=self.name)
        return StageFailed(f"{self.name} answered {status}", stage=self.name)


@dataclass(frozen=True, slots=True)
class Stages:
    """All three."""

    preprocess: StageClient
    cnn: StageClient
    rnn: StageClient

    async def close(self) -> None:
        """Close all connections."""
        for stage in (self.preprocess, self.cnn, self.rnn):
            await stage.close()


def connect(name: str, url: str, connect_s: float, read_s: float) -> StageClient:
    """A stage at an address."""
    timeout = httpx.Timeout(read_s, connect=connect_s)
    limits = httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=_KEEP_ALIVE_S)
    # Certificates take 40 ms to read, which a worker would pay for every series.
    tls = url.startswith("https:")
    return StageClient(
        name, httpx.AsyncClient(base_url=url, timeout=timeout, limits=limits, trust_env=False, verify=tls)
    )


def connect_all(settings: Settings) -> Stages:
    """All three, where the settings say that they are."""
    addresses = {"preprocess": settings.preprocess_url, "cnn": settings.cnn_url, "rnn": settings.rnn_url}
    return Stages(
        **{
            name: connect(name, url, settings.connect_timeout_s, settings.stage_timeout_s)
            for name, url in addresses.items()
        }
    )


async def _stream(parts: Sequence[Buffer | FilePart]) -> AsyncIterator[bytes]:
    """All parts in pieces of one size: few writes, and no part ever whole in memory a second time."""
    gathered = bytearray()
    for part in parts:
        for piece in part.pieces(_PIECE_BYTES) if isinstance(part, FilePart) else _views(part):
            gathered += piece
            if len(gathered) >= _PIECE_BYTES:
                yield bytes(gathered)
                gathered.clear()
    if gathered:
        yield bytes(gathered)


def _views(part: Buffer) -> Iterator[memoryview]:
    view = memoryview(part)
    return (view[at : at + _PIECE_BYTES] for at in range(0, len(view), _PIECE_BYTES))


async def _read(answer: httpx.Response) -> bytearray:
    """The body, in one piece that is allocated once."""
    body, filled = bytearray(int(answer.headers.get("content-length", 0))), 0
    async for piece in answer.aiter_raw():
        body[filled : filled + len(piece)] = piece
        filled += len(piece)
    return body


def _json(body: Buffer) -> Mapping[str, Any]:
    try:
        document = json.loads(bytes(body))
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}

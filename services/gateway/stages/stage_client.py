"""HTTP clients of the three stages: time-outs, one retry, and failures as problems."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import httpx

from services.common.observability import REQUEST_ID, current_request_id
from services.common.tensors import HEADER_LENGTH, TIMEOUT_PARAMETER, Buffer, FilePart, Message, encode
from services.gateway.settings import Settings
from services.gateway.stages.region_pool import NO_LEASE, Lease, RegionPool
from services.gateway.stages.shared_tensors import PlacedMessage, SharedOutput, SharedTensors, in_body
from services.gateway.stages.stage_problems import (
    BundleMismatch,
    RecipeMismatch,
    RegionTooSmall,
    RegionUnknown,
    StageBusy,
    StageFailed,
    StageFault,
    StageTimeout,
)
from services.gateway.stages.stage_response import StageResponse, malformed

_PIECE_BYTES: Final = 1 << 20
_VIEW_BYTES: Final = 1 << 22  # each costs the same time in httpx, and a copy of its bytes
_RETRY_AFTER_S: Final = 0.25
_WORK_MS: Final = re.compile(r"work;dur=([0-9]+(?:\.[0-9]+)?)")
# Shorter than the stages' own 65 s, so that the gateway never uses a connection that a stage is closing.
_KEEP_ALIVE_S: Final = 4.0
_MISMATCHES: Final[Mapping[str, type[StageFault]]] = {
    RecipeMismatch.code: RecipeMismatch,
    BundleMismatch.code: BundleMismatch,
}
_REGION_REFUSED: Final[Mapping[str, type[StageFault]]] = {
    "unknown_region": RegionUnknown,
    "region_too_small": RegionTooSmall,
}


class _Unreachable(Exception):
    """The connection was refused or broke. Stages keep no state, so a second attempt is safe."""


class StageClient:
    """The client of one stage.

    pool : shared memory regions; without them all tensors travel in HTTP bodies
    """

    def __init__(self, name: str, client: httpx.AsyncClient, pool: RegionPool | None = None) -> None:
        self.name = name
        self._client = client
        self._pool = pool
        self._shared = SharedTensors(name, client)

    def lease(self) -> AbstractContextManager[Lease]:
        """A region for large tensors of the requests in this context, where shared memory is on."""
        return self._pool.lease() if self._pool else nullcontext(NO_LEASE)

    async def infer(
        self, model: str, message: Message, lease: Lease = NO_LEASE, output: SharedOutput | None = None
    ) -> StageResponse:
        """Request an inference, once more where the stage was busy or could not be reached.

        Parameters
        ----------
        lease : of a region for large tensors
        output : is written into the region

        Raises
        ------
        StageFault
            the stage gave no usable response
        """
        try:
            return await self._infer_shared(model, message, lease, output)
        except (_Unreachable, StageBusy):
            lease.replace() if output else lease.taint()
            await asyncio.sleep(_RETRY_AFTER_S)
        try:
            return await self._infer_shared(model, message, lease, output)
        except _Unreachable as error:
            raise self._unreachable() from error

    async def _infer_shared(
        self, model: str, message: Message, lease: Lease, output: SharedOutput | None
    ) -> StageResponse:
        """Request an inference; where the stage has restarted, register the region once more, then do without."""
        for _ in range(2):
            try:
                return await self._infer_once(model, await self._shared.place(message, lease, output))
            except RegionUnknown:
                self._shared.forget(lease)
            except RegionTooSmall:
                break
        return await self._infer_once(model, PlacedMessage(in_body(message)))

    async def metadata(self, model: str) -> Mapping[str, Any]:
        """The `parameters` of a model's metadata; StageFault where the metadata are malformed."""
        document = _json(await self._get(f"/v2/models/{model}"))
        parameters = {} if document is None else document.get("parameters", {})
        if document is None or not isinstance(parameters, dict):
            raise malformed(self.name, "the metadata are not a JSON object with 'parameters'")
        return parameters

    async def ready(self) -> None:
        """StageFault where the stage is not ready."""
        await self._get("/v2/health/ready")

    async def close(self) -> None:
        """Unregister the regions, and close the connections."""
        if self._pool:
            await self._shared.unregister(self._pool.free_regions())
        await self._client.aclose()

    def remove_regions(self) -> None:
        """Remove the regions, which other stages may share, after all stages were closed."""
        if self._pool:
            self._pool.close()

    async def _get(self, path: str) -> Buffer:
        try:
            response = await self._client.get(path, headers={REQUEST_ID: current_request_id()})
        except httpx.TimeoutException as error:
            raise self._timeout() from error
        except httpx.TransportError as error:
            raise self._unreachable() from error
        if response.is_error:
            raise self._fault(response.status_code, response.content)
        return response.content

    async def _infer_once(self, model: str, placed: PlacedMessage) -> StageResponse:
        header, parts = encode(self._with_timeout(placed.message), "inputs")
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
            ) as response:
                body = await _read(response)
        except httpx.TimeoutException as error:
            raise self._timeout() from error
        except httpx.TransportError as error:
            raise _Unreachable from error
        if response.is_error:
            raise self._fault(response.status_code, body)
        work = _WORK_MS.search(response.headers.get("server-timing", ""))
        return StageResponse.decode(
            self.name, body, response.headers.get(HEADER_LENGTH), float(work[1]) if work else 0.0, placed
        )

    def _with_timeout(self, message: Message) -> Message:
        """Tell the stage how long the gateway waits: it need not begin a request that has timed out."""
        seconds = self._client.timeout.read
        if seconds is None:
            return message
        return replace(message, parameters={**message.parameters, TIMEOUT_PARAMETER: round(seconds * 1e6)})

    def _timeout(self) -> StageTimeout:
        return StageTimeout(f"{self.name} did not answer in time", stage=self.name)

    def _unreachable(self) -> StageFailed:
        return StageFailed(f"{self.name} cannot be reached", stage=self.name)

    def _fault(self, status: int, body: Buffer) -> StageFault:
        document = _json(body) or {}
        mismatch = _MISMATCHES.get(str(document.get("code")))
        if status == httpx.codes.CONFLICT and mismatch:
            return mismatch(str(document.get("detail")), stage=self.name)
        refused = _REGION_REFUSED.get(str(document.get("code")))
        if status == httpx.codes.BAD_REQUEST and refused:
            return refused(f"{self.name} answered {status}", stage=self.name)
        if status == httpx.codes.GATEWAY_TIMEOUT:
            return self._timeout()
        if status == httpx.codes.SERVICE_UNAVAILABLE:
            return StageBusy(f"{self.name} takes no more requests now", stage=self.name)
        return StageFailed(f"{self.name} answered {status}", stage=self.name)


@dataclass(frozen=True, slots=True)
class Stages:
    """The clients of the three stages."""

    preprocess: StageClient
    cnn: StageClient
    rnn: StageClient

    async def close(self) -> None:
        """Close all connections, and remove the regions."""
        stages = self.preprocess, self.cnn, self.rnn
        for stage in stages:
            await stage.close()
        for stage in stages:
            stage.remove_regions()


def connect(name: str, url: str, connect_s: float, read_s: float, pool: RegionPool | None = None) -> StageClient:
    """The client of the stage at `url`."""
    timeout = httpx.Timeout(read_s, connect=connect_s)
    limits = httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=_KEEP_ALIVE_S)
    # Reading certificates takes 40 ms, which a worker would spend on every series.
    tls = url.startswith("https:")
    return StageClient(
        name, httpx.AsyncClient(base_url=url, timeout=timeout, limits=limits, trust_env=False, verify=tls), pool
    )


def connect_all(settings: Settings) -> Stages:
    """The clients of the three stages at the addresses of the settings."""
    addresses = {"preprocess": settings.preprocess_url, "cnn": settings.cnn_url, "rnn": settings.rnn_url}
    pool = region_pool(settings)
    return Stages(
        **{
            name: connect(name, url, settings.connect_timeout_s, settings.stage_timeout_s, pool)
            for name, url in addresses.items()
        }
    )


def region_pool(settings: Settings) -> RegionPool | None:
    """The shared memory regions of this process; None where shared memory is off."""
    folder = settings.shared_memory_dir
    return RegionPool(folder, settings.max_shared_bytes, settings.chunk_slices) if folder else None


async def _stream(parts: Sequence[Buffer | FilePart]) -> AsyncIterator[bytes]:
    """All parts: small ones gathered into pieces, large ones in memory as views, which are sent without a copy."""
    gathered, size = list[Buffer](), 0
    for piece in _pieces(parts):
        if isinstance(piece, memoryview):
            yield b"".join(gathered)
            yield cast("bytes", piece)  # h11 takes its length, and joins it
            gathered, size = [], 0
            continue
        gathered.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)


def _pieces(parts: Sequence[Buffer | FilePart]) -> Iterator[Buffer]:
    """Files in pieces, large parts in memory as views, and other parts whole."""
    for part in parts:
        if isinstance(part, FilePart):
            yield from part.pieces(_PIECE_BYTES)
        elif len(part) < _PIECE_BYTES:
            yield bytes(part)
        else:
            view = memoryview(part)
            yield from (view[at : at + _VIEW_BYTES] for at in range(0, len(view), _VIEW_BYTES))


async def _read(response: httpx.Response) -> bytearray:
    """The body, in memory that is allocated once."""
    body, filled = bytearray(int(response.headers.get("content-length", 0))), 0
    async for piece in response.aiter_raw():
        body[filled : filled + len(piece)] = piece
        filled += len(piece)
    return body


def _json(body: Buffer) -> Mapping[str, Any] | None:
    """A JSON object; None for anything else."""
    try:
        document = json.loads(bytes(body))
    except ValueError:
        return None
    return document if isinstance(document, dict) else None

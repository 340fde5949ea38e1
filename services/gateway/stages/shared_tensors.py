"""Places tensors of requests to a stage in shared memory, where the stage offers that, and checks its outputs there."""

import logging
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import httpx
from anyio import to_thread

from services.common.observability import REQUEST_ID, current_request_id
from services.common.problems import BadRequest
from services.common.shared_ranges import SharedBuffer, SharedRange
from services.common.tensors import Message, Tensor
from services.gateway.stages.region_pool import Lease, Region

log = logging.getLogger(__name__)

_EXTENSION: Final = "system_shared_memory"
_ROUTE: Final = "/v2/systemsharedmemory/region"
_MIN_BYTES: Final = 64 * 1024  # smaller tensors travel in the body
_ALIGNMENT: Final = 4096
_MARK_BYTES: Final = 16
_MARK_STRIDE: Final = 256 * 1024  # a slice has three
_RECHECK_S: Final = 10.0
_CALL_TIMEOUT_S: Final = 2.0  # these calls need no work of the stage; an inference has a time-out of its own


@dataclass(frozen=True, slots=True)
class SharedOutput:
    """An output that a stage may write into the region.

    byte_size : largest size
    beside : the other outputs of the response
    """

    name: str
    byte_size: int
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlacedMessage:
    """A request whose large tensors are in `region`, if there is one.

    mark : random bytes in the range of each output, which the stage must overwrite
    """

    message: Message
    mark: bytes = b""
    region: Region | None = None

    def view(self, shared: SharedRange) -> memoryview:
        """The bytes of an output.

        Raises
        ------
        BadRequest
            the range was not offered to the stage, or not written
        """
        for buffer in self.message.shared_outputs.values():
            offered = buffer.first(shared.byte_size) == shared and shared.byte_size <= len(buffer.view)
            if offered and self.region:
                return self._written(self.region.view(shared.offset, shared.byte_size))
        raise BadRequest("an output names a range of shared memory that was not offered")

    def _written(self, view: memoryview) -> memoryview:
        """The view; BadRequest where a mark remains: these bytes are of an earlier request."""
        starts = range(0, len(view) - _MARK_BYTES + 1, _MARK_STRIDE)
        if any(view[start : start + _MARK_BYTES] == self.mark for start in starts):
            raise BadRequest("an output was not written into its range of shared memory")
        return view


class SharedTensors:
    """Registers regions with one stage, and places tensors in them."""

    def __init__(self, stage: str, client: httpx.AsyncClient) -> None:
        self._stage = stage
        self._client = client
        self._supported = False
        self._next_check = 0.0

    async def place(self, message: Message, lease: Lease, output: SharedOutput | None) -> PlacedMessage:
        """The request with its large tensors in the lease's region, or in the body where that is impossible."""
        region = await self._registered_region(lease)
        if region is None:
            return PlacedMessage(in_body(message))
        offered, free_from = _offer(region, output)
        tensors = await _place_inputs(message.tensors, region, free_from)
        names = (output.name, *output.beside) if output and offered else message.requested_outputs
        placed = replace(message, tensors=tensors, requested_outputs=names, shared_outputs=offered)
        return PlacedMessage(placed, _mark(offered), region)

    def forget(self, lease: Lease) -> None:
        """The stage does not know the lease's region: it has restarted."""
        if region := lease.region():
            region.stages.discard(self._stage)

    async def unregister(self, regions: Iterable[Region]) -> None:
        """Let the stage free the memory of regions at once, not at the next registration."""
        for region in regions:
            if self._stage in region.stages:
                region.stages.discard(self._stage)
                await self._call("POST", f"{_ROUTE}/{region.name}/unregister")

    async def _registered_region(self, lease: Lease) -> Region | None:
        if not lease.possible or not await self._is_supported():
            return None
        region = lease.region()
        if region is None or self._stage in region.stages:
            return region
        if await self._register(region, lease):
            return region
        self._supported, self._next_check = False, time.monotonic() + _RECHECK_S
        return None

    async def _register(self, region: Region, lease: Lease) -> bool:
        document = {"key": f"/{region.key}", "offset": 0, "byte_size": region.size}
        response = await self._call("POST", f"{_ROUTE}/{region.name}/register", document)
        if response is None:
            log.warning(
                "%s did not register shared memory in time: slices travel over HTTP, which is slower", self._stage
            )
            lease.taint()  # it may register the region later
        elif not response.is_success:
            log.warning("%s refuses shared memory: slices travel over HTTP, which is slower", self._stage)
            lease.refuse()
        else:
            region.stages.add(self._stage)
        return self._stage in region.stages

    async def _is_supported(self) -> bool:
        """Whether the server's metadata list the extension; asked again after a while where they did not."""
        if not self._supported and time.monotonic() >= self._next_check:
            response = await self._call("GET", "/v2")
            self._supported = response is not None and response.is_success and _lists_extension(response)
            self._next_check = time.monotonic() + _RECHECK_S
        return self._supported

    async def _call(self, method: str, path: str, document: object = None) -> httpx.Response | None:
        """The response; None where there is none in time. A free connection may take as long as for an inference."""
        timeout = httpx.Timeout(_CALL_TIMEOUT_S, pool=self._client.timeout.pool)
        try:
            return await self._client.request(
                method, path, json=document, headers={REQUEST_ID: current_request_id()}, timeout=timeout
            )
        except httpx.TransportError:
            return None


def in_body(message: Message) -> Message:
    """The request with all tensors in its body."""
    return replace(message, tensors=tuple(replace(tensor, shared=None) for tensor in message.tensors))


def _offer(region: Region, output: SharedOutput | None) -> tuple[dict[str, SharedBuffer], int]:
    """The output's range at the region's begin, and the first free byte behind it."""
    if output is None or not 0 < output.byte_size <= region.size:
        return {}, 0
    buffer = SharedBuffer(region.range(0, output.byte_size), region.view(0, output.byte_size))
    return {output.name: buffer}, _aligned(output.byte_size)


async def _place_inputs(tensors: Sequence[Tensor], region: Region, at: int) -> tuple[Tensor, ...]:
    """Tensors in the region from byte `at` on, as far as they fit; a tensor that an earlier stage wrote stays there."""
    placed: list[Tensor] = []
    for tensor in tensors:
        if tensor.shared is None and tensor.nbytes >= _MIN_BYTES and at + tensor.nbytes <= region.size:
            await to_thread.run_sync(region.write, at, tensor.data)
            placed.append(replace(tensor, shared=region.range(at, tensor.nbytes)))
            at = _aligned(at + tensor.nbytes)
        else:
            placed.append(tensor)
    return tuple(placed)


def _mark(offered: dict[str, SharedBuffer]) -> bytes:
    """Write random bytes into each offered range, and return them."""
    mark = secrets.token_bytes(_MARK_BYTES)
    for buffer in offered.values():
        for start in range(0, len(buffer.view) - _MARK_BYTES + 1, _MARK_STRIDE):
            buffer.view[start : start + _MARK_BYTES] = mark
    return mark


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _lists_extension(response: httpx.Response) -> bool:
    try:
        document = response.json()
    except ValueError:
        return False
    return isinstance(document, dict) and _EXTENSION in (document.get("extensions") or ())

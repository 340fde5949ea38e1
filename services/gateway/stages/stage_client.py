"""HTTP clients of the three stages: connections, time-outs, retries, and failures as problems."""

import math
import random
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx

from services.common.observability import REQUEST_ID, current_request_id
from services.common.tensors import HEADER_LENGTH, TIMEOUT_PARAMETER, Buffer, Message, encode
from services.common.tracing import call_span, trace_headers
from services.gateway.settings import Settings
from services.gateway.stages.region_pool import NO_LEASE, Lease, RegionPool
from services.gateway.stages.request_stream import read_body, stream_parts
from services.gateway.stages.shared_tensors import PlacedMessage, SharedOutput, SharedTensors, in_body
from services.gateway.stages.stage_answers import failure, json_object, transport_errors
from services.gateway.stages.stage_problems import RegionTooSmall, RegionUnknown, StageTimeout
from services.gateway.stages.stage_response import StageResponse, malformed
from services.gateway.stages.stage_retries import Broken, Busy, StageRetries, retry_policy

_WORK_MS: Final = re.compile(r"work;dur=([0-9]+(?:\.[0-9]+)?)")
# Shorter than the stages' own 65 s, so that the gateway never uses a connection that a stage is closing.
_KEEP_ALIVE_S: Final = 4.0
_READY_RETRY_S: Final = 1.0  # probes wait a few seconds for the readiness of all stages


@dataclass(frozen=True, slots=True)
class CallOptions:
    """Retries and connections of a stage's calls.

    retry_s : seconds for which a refused connection or a busy stage is tried again
    requests_per_connection : mean of a geometric distribution, so that connections do not end together
    """

    retry_s: float = 5.0
    requests_per_connection: int = 1


class StageClient:
    """The client of one stage, which may be several replicas behind a balancer.

    pool : shared memory regions; without them all tensors travel in HTTP bodies
    """

    def __init__(
        self,
        name: str,
        client: httpx.AsyncClient,
        pool: RegionPool | None = None,
        options: CallOptions = CallOptions(),
    ) -> None:
        self.name = name
        self.retries = StageRetries(name, client.timeout.read)
        self._client = client
        self._pool = pool
        self._options = options
        self._policy = retry_policy(options.retry_s)
        self._ready_policy = retry_policy(min(options.retry_s, _READY_RETRY_S))
        self._shared = SharedTensors(name, client)

    def lease(self) -> AbstractContextManager[Lease]:
        """A region for large tensors of the requests in this context, where shared memory is on."""
        return self._pool.lease() if self._pool else nullcontext(NO_LEASE)

    async def infer(
        self, model: str, message: Message, lease: Lease = NO_LEASE, output: SharedOutput | None = None
    ) -> StageResponse:
        """Request an inference, again where another replica may answer.

        Parameters
        ----------
        lease : of a region for large tensors
        output : is written into the region

        Raises
        ------
        StageFault
            the stage gave no usable response
        """

        async def attempt(remaining_s: float) -> StageResponse:
            try:
                return await self._infer_shared(model, _with_timeout(message, remaining_s), lease, output, remaining_s)
            except (Broken, Busy):
                lease.replace() if output else lease.taint()
                raise

        return await self.retries.call(attempt, self._policy)

    async def _infer_shared(
        self, model: str, message: Message, lease: Lease, output: SharedOutput | None, remaining_s: float
    ) -> StageResponse:
        """Request an inference; where the stage has restarted, register the region once more, then do without."""
        for _ in range(2):
            try:
                return await self._infer_once(model, await self._shared.place(message, lease, output), remaining_s)
            except RegionUnknown:
                self._shared.forget(lease)
            except RegionTooSmall:
                break
        return await self._infer_once(model, PlacedMessage(in_body(message)), remaining_s)

    async def metadata(self, model: str) -> Mapping[str, Any]:
        """The `parameters` of a model's metadata; StageFault where the metadata are malformed."""
        path = f"/v2/models/{model}"
        document = json_object(await self.retries.call(lambda remaining_s: self._get(path, remaining_s), self._policy))
        parameters = {} if document is None else document.get("parameters", {})
        if document is None or not isinstance(parameters, dict):
            raise malformed(self.name, "the metadata are not a JSON object with 'parameters'")
        return parameters

    async def ready(self) -> None:
        """StageFault where the stage is not ready."""
        await self.retries.call(lambda remaining_s: self._get("/v2/health/ready", remaining_s), self._ready_policy)

    async def close(self) -> None:
        """Unregister the regions, and close the connections."""
        if self._pool:
            await self._shared.unregister(self._pool.free_regions())
        await self._client.aclose()

    def remove_regions(self) -> None:
        """Remove the regions, which other stages may share, after all stages were closed."""
        if self._pool:
            self._pool.close()

    async def _get(self, path: str, remaining_s: float) -> Buffer:
        with transport_errors(self.name), call_span("GET", path, self.name) as span:
            headers = {**self._headers(), **trace_headers()}
            response = await self._client.get(path, headers=headers, timeout=self._timeout(remaining_s))
            span.set("http.response.status_code", response.status_code)
        if response.is_error:
            raise failure(self.name, response, response.content)
        return response.content

    async def _infer_once(self, model: str, placed: PlacedMessage, remaining_s: float) -> StageResponse:
        header, parts = encode(placed.message, "inputs")
        headers = {
            HEADER_LENGTH: str(len(header)),
            "content-length": str(len(header) + sum(map(len, parts))),
            "content-type": "application/octet-stream",
            **self._headers(),
        }
        content, path = stream_parts([header, *parts]), f"/v2/models/{model}/infer"
        timeout = self._timeout(remaining_s)
        with transport_errors(self.name), call_span("POST", path, self.name) as span:
            headers |= trace_headers()
            async with self._client.stream("POST", path, headers=headers, content=content, timeout=timeout) as response:
                span.set("http.response.status_code", response.status_code)
                body = await read_body(response)
        if response.is_error:
            raise failure(self.name, response, body)
        work = _WORK_MS.search(response.headers.get("server-timing", ""))
        return StageResponse.decode(
            self.name, body, response.headers.get(HEADER_LENGTH), float(work[1]) if work else 0.0, placed
        )

    def _headers(self) -> dict[str, str]:
        """The request's id; some requests are the last on their connection, as balancers of connections need."""
        last = random.random() * self._options.requests_per_connection < 1  # noqa: S311 - no secret
        return {REQUEST_ID: current_request_id()} | ({"connection": "close"} if last else {})

    def _timeout(self, remaining_s: float) -> httpx.Timeout:
        """The client's time-outs, the rest of the call's time at most."""
        if remaining_s <= 0:
            raise StageTimeout(f"{self.name} did not answer in time", stage=self.name)
        of = self._client.timeout
        limits = (min(each, remaining_s) if each else remaining_s for each in (of.connect, of.read, of.write, of.pool))
        connect, read, write, pool = (None if math.isinf(each) else each for each in limits)
        return httpx.Timeout(connect=connect, read=read, write=write, pool=pool)


def _with_timeout(message: Message, remaining_s: float) -> Message:
    """Tell the stage how long the gateway waits: it need not begin a request that has timed out."""
    if math.isinf(remaining_s):
        return message
    return replace(message, parameters={**message.parameters, TIMEOUT_PARAMETER: round(remaining_s * 1e6)})


@dataclass(frozen=True, slots=True)
class Stages:
    """The clients of the three stages."""

    preprocess: StageClient
    cnn: StageClient
    rnn: StageClient

    @property
    def clients(self) -> tuple[StageClient, ...]:
        """The three clients."""
        return self.preprocess, self.cnn, self.rnn

    async def close(self) -> None:
        """Close all connections, and remove the regions."""
        for stage in self.clients:
            await stage.close()
        for stage in self.clients:
            stage.remove_regions()


def connect(
    name: str,
    url: str,
    connect_s: float,
    read_s: float,
    pool: RegionPool | None = None,
    options: CallOptions = CallOptions(),
) -> StageClient:
    """The client of the stage at `url`."""
    timeout = httpx.Timeout(read_s, connect=connect_s)
    limits = httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=_KEEP_ALIVE_S)
    # Reading certificates takes 40 ms, which a worker would spend on every series.
    tls = url.startswith("https:")
    client = httpx.AsyncClient(base_url=url, timeout=timeout, limits=limits, trust_env=False, verify=tls)
    return StageClient(name, client, pool, options)


def connect_all(settings: Settings) -> Stages:
    """The clients of the three stages at the addresses of the settings."""
    addresses = {"preprocess": settings.preprocess_url, "cnn": settings.cnn_url, "rnn": settings.rnn_url}
    pool = region_pool(settings)
    options = CallOptions(settings.stage_retry_s, settings.stage_connection_requests)
    return Stages(
        **{
            name: connect(name, url, settings.connect_timeout_s, settings.stage_timeout_s, pool, options)
            for name, url in addresses.items()
        }
    )


def region_pool(settings: Settings) -> RegionPool | None:
    """The shared memory regions of this process; None where shared memory is off."""
    folder = settings.shared_memory_dir
    return RegionPool(folder, settings.max_shared_bytes, settings.chunk_slices) if folder else None

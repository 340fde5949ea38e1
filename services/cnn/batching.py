"""Dynamic batching: slices of several requests go through the network in one batch.

Slices are counted, not requests. While one batch is in the network, the next one fills, so a request alone is never
delayed. Batches have a few fixed sizes, so that no graph is compiled for a new size. Requests beyond the limit are
refused before their bodies are read. Slices of cancelled or expired requests are dropped.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import Final, Protocol

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.cnn.extractor import (
    FeatureExtractor,
    Outputs,
    Slices,
    batch_sizes,
    concatenate_outputs,
    split_into_batches,
    split_outputs,
)
from services.common.deadline import DeadlineExceeded
from services.common.problems import Overloaded
from services.common.runners import deadline_of
from services.common.tensors import Message

SLICE_BYTES: Final = 512 * 512 * 3
_RATE_DECAY: Final = 0.9  # share of the old rate in the moving average, per batch
_MAX_RETRY_AFTER_S: Final = 60


class BatchableModel(Protocol):
    """A model whose requests are slices."""

    def read(self, message: Message) -> Slices:
        """The slices of a request."""
        ...

    def answer(self, message: Message, outputs: Outputs) -> Message:
        """The response to a request, from the network's outputs for its slices."""
        ...


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Limits of dynamic batching.

    max_batch : slices in one batch
    max_held : slices of all requests in progress, from before their bodies are read until they are answered
    max_delay_s : seconds that a batch below `max_batch` waits for more slices; 0 on a CPU, where waiting gains nothing
    """

    max_batch: int = 16
    max_held: int = 256
    max_delay_s: float = 0.0


@dataclass(slots=True, eq=False)
class _PendingSlices:
    """Slices of one request that share a batch; `result` gets their outputs and the seconds in the network."""

    slices: Slices
    deadline: float
    result: asyncio.Future[tuple[Outputs, float]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class DynamicBatcher:
    """The runner of the cnn service: one batch at a time in the network, filled from the requests in progress."""

    def __init__(
        self, extractor: FeatureExtractor, limits: BatchLimits, registry: CollectorRegistry | None = None
    ) -> None:
        self._extractor, self._limits = extractor, limits
        self._sizes = batch_sizes(limits.max_batch)
        self._queue: deque[_PendingSlices] = deque()
        self._held = 0
        self._slices_per_second = 0.0
        self._network = ThreadPoolExecutor(1, "network")
        self._worker: asyncio.Task[None] | None = None
        self._metrics = _BatchMetrics(registry or CollectorRegistry(), lambda: self._held)

    @contextmanager
    def reserve(self, body_bytes: int) -> Iterator[None]:
        """Reserve room for a request's slices until it is answered.

        Raises
        ------
        Overloaded
            the requests in progress hold `max_held` slices; a request alone is always accepted
        """
        slices = max(ceil(body_bytes / SLICE_BYTES) - 1, 1)  # the header is less than a slice
        limit = self._limits.max_held
        if self._held and self._held + slices > limit:
            raise Overloaded(f"this stage holds {limit} slices at a time", retry_after_s=self._retry_after_s())
        self._held += slices
        try:
            yield
        finally:
            self._held -= slices

    async def run(self, model: BatchableModel, message: Message) -> tuple[Message, float]:
        """The response, and this request's share of the milliseconds in the network.

        Raises
        ------
        DeadlineExceeded
            the request's time-out passed before its slices entered the network
        """
        slices, deadline, size = model.read(message), deadline_of(message), self._limits.max_batch
        pending = [_PendingSlices(slices[at : at + size], deadline) for at in range(0, len(slices), size)]
        self._queue.extend(pending)
        self._start_worker()
        try:
            results = await asyncio.gather(*(item.result for item in pending))
        except BaseException:
            for item in pending:
                item.result.cancel()
            raise
        outputs = concatenate_outputs([outputs for outputs, _ in results])
        return model.answer(message, outputs), sum(work_ms for _, work_ms in results)

    def _start_worker(self) -> None:
        if self._queue and (self._worker is None or self._worker.done()):
            self._worker = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._queue:
            queued = sum(len(item.slices) for item in self._queue)
            if self._limits.max_delay_s and queued < self._limits.max_batch:
                await asyncio.sleep(self._limits.max_delay_s)
            if batch := self._next_batch():
                await self._run_batch(batch)

    def _next_batch(self) -> list[_PendingSlices]:
        """The oldest slices that fit one batch; cancelled and expired ones are dropped."""
        batch: list[_PendingSlices] = []
        room = self._limits.max_batch
        while self._queue and len(self._queue[0].slices) <= room:
            item = self._queue.popleft()
            if item.result.done():
                self._metrics.dropped.labels("caller_gone").inc(len(item.slices))
            elif time.monotonic() > item.deadline:
                self._metrics.dropped.labels("too_late").inc(len(item.slices))
                item.result.set_exception(DeadlineExceeded("the request's time-out passed before its work began"))
            else:
                room -= len(item.slices)
                batch.append(item)
        return batch

    async def _run_batch(self, batch: Sequence[_PendingSlices]) -> None:
        sizes = [len(item.slices) for item in batch]
        loop = asyncio.get_running_loop()
        try:
            outputs, seconds = await loop.run_in_executor(self._network, self._extract, [item.slices for item in batch])
            self._record(sum(sizes), seconds)
            parts = split_outputs(outputs, sizes)
        except Exception as error:  # noqa: BLE001 - every request of the batch gets the error
            for item in batch:
                if not item.result.done():
                    item.result.set_exception(error)
            return
        for item, size, part in zip(batch, sizes, parts, strict=True):
            if not item.result.done():
                item.result.set_result((part, 1e3 * seconds * size / sum(sizes)))

    def _extract(self, parts: Sequence[Slices]) -> tuple[Outputs, float]:
        """In the network's thread: the outputs of all parts, computed in batches of the fixed sizes."""
        slices = parts[0] if len(parts) == 1 else np.concatenate(parts)
        start = time.perf_counter()
        batches = split_into_batches(slices, self._sizes)
        outputs = concatenate_outputs([self._extractor.extract(batch) for batch in batches])
        return outputs, time.perf_counter() - start

    def _record(self, slices: int, seconds: float) -> None:
        rate = slices / max(seconds, 1e-6)
        self._slices_per_second = _RATE_DECAY * (self._slices_per_second or rate) + (1 - _RATE_DECAY) * rate
        self._metrics.batches.observe(slices)

    def _retry_after_s(self) -> int:
        """Seconds until the slices in progress are done."""
        seconds = ceil(self._held / self._slices_per_second) if self._slices_per_second else 1
        return min(max(seconds, 1), _MAX_RETRY_AFTER_S)


class _BatchMetrics:
    """Metrics of the batcher."""

    def __init__(self, registry: CollectorRegistry, held: Callable[[], float]) -> None:
        self.batches = Histogram(
            "ich_cnn_batch_slices",
            "Slices in one batch of the network",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=registry,
        )
        self.dropped = Counter(
            "ich_cnn_dropped_slices_total",
            "Slices dropped because their request was cancelled or its deadline passed",
            ("why",),
            registry=registry,
        )
        Gauge("ich_cnn_held_slices", "Slices of the requests in progress", registry=registry).set_function(held)

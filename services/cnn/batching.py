"""Dynamic batching: slices of several requests go through the network together.

It is slices that are counted, not requests. While one batch is in the network the next one gathers, so a lone request
waits for nobody. Batches are cut into a few fixed sizes, so that no graph is made for a new one. What can't be held is
refused before its body is read, and what nobody waits for any more is dropped.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.common.problems import Overloaded
from services.common.runners import DeadlineExceeded, deadline_of
from services.common.tensors import Message

SLICE_BYTES: Final = 512 * 512 * 3
_RATE_KEPT: Final = 0.9  # of the measured rate, at each batch
_LONGEST_RETRY_S: Final = 60

Slices = NDArray[np.uint8]
Outputs = dict[str, NDArray[np.float32]]


class FeatureExtractor(Protocol):
    """What computes: (n, 512, 512, 3) uint8 to `features`, (n, d) float32, and what else the network gives."""

    def extract(self, slices: Slices) -> Outputs: ...


class BatchableModel(Protocol):
    """A model whose work is that of its slices."""

    def read(self, message: Message) -> Slices:
        """A request's slices."""
        ...

    def answer(self, message: Message, given: Outputs) -> Message:
        """The answer to a request, of what the network gave for its slices."""
        ...


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How slices gather.

    max_batch : slices that go through the network at once
    max_held : slices of all requests in hand, from before their bodies are read until they are answered
    max_delay_s : how long a batch that is not full waits for more; nothing is gained by it on a CPU
    """

    max_batch: int = 16
    max_held: int = 256
    max_delay_s: float = 0.0


@dataclass(slots=True, eq=False)
class _PendingSlices:
    """Slices of one request that go through the network together, and what came of them."""

    slices: Slices
    deadline: float
    given: asyncio.Future[tuple[Outputs, float]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class DynamicBatcher:
    """The runner of the cnn service: one batch in the network at a time, filled from the requests in hand."""

    def __init__(
        self, extractor: FeatureExtractor, bounds: BatchLimits, registry: CollectorRegistry | None = None
    ) -> None:
        self._extractor, self._bounds = extractor, bounds
        self._sizes = batch_sizes(bounds.max_batch)
        self._waiting: deque[_PendingSlices] = deque()
        self._held = 0
        self._slices_a_second = 0.0
        self._network = ThreadPoolExecutor(1, "network")
        self._working: asyncio.Task[None] | None = None
        self._figures = _BatchMetrics(registry or CollectorRegistry(), lambda: self._held)

    @contextmanager
    def reserve(self, body_bytes: int) -> Iterator[None]:
        """Room for a request's slices until it is answered.

        Raises
        ------
        Overloaded
            the requests in hand hold as many as there may be; a request that is alone is always taken
        """
        slices = max(ceil(body_bytes / SLICE_BYTES) - 1, 1)  # without the header's share
        if self._held and self._held + slices > self._bounds.max_held:
            raise Overloaded("more slices are waiting than this stage holds", retry_after_s=self._retry_after_s())
        self._held += slices
        try:
            yield
        finally:
            self._held -= slices

    async def run(self, model: BatchableModel, message: Message) -> tuple[Message, float]:
        """The answer, and this request's share of the milliseconds in the network.

        Raises
        ------
        DeadlineExceeded
            the caller's time was over when its turn came
        """
        slices, deadline, most = model.read(message), deadline_of(message), self._bounds.max_batch
        pieces = [_PendingSlices(slices[at : at + most], deadline) for at in range(0, len(slices), most)]
        self._waiting.extend(pieces)
        self._set_to_work()
        try:
            done = await asyncio.gather(*(piece.given for piece in pieces))
        except BaseException:
            for piece in pieces:
                piece.given.cancel()
            raise
        return model.answer(message, concatenate_outputs([given for given, _ in done])), sum(ms for _, ms in done)

    def _set_to_work(self) -> None:
        if self._waiting and (self._working is None or self._working.done()):
            self._working = asyncio.create_task(self._work())

    async def _work(self) -> None:
        """Batch after batch, as long as something waits."""
        while self._waiting:
            if self._bounds.max_delay_s and sum(len(piece.slices) for piece in self._waiting) < self._bounds.max_batch:
                await asyncio.sleep(self._bounds.max_delay_s)
            if batch := self._next():
                await self._through(batch)

    def _next(self) -> list[_PendingSlices]:
        """Those that wait the longest, as many as one batch holds, without what nobody waits for."""
        batch: list[_PendingSlices] = []
        room = self._bounds.max_batch
        while self._waiting and len(self._waiting[0].slices) <= room:
            piece = self._waiting.popleft()
            if piece.given.done():
                self._figures.dropped.labels("caller_gone").inc(len(piece.slices))
            elif time.monotonic() > piece.deadline:
                self._figures.dropped.labels("too_late").inc(len(piece.slices))
                piece.given.set_exception(DeadlineExceeded("the request waited longer than its caller does"))
            else:
                room -= len(piece.slices)
                batch.append(piece)
        return batch

    async def _through(self, batch: Sequence[_PendingSlices]) -> None:
        sizes = [len(piece.slices) for piece in batch]
        try:
            loop = asyncio.get_running_loop()
            given, seconds = await loop.run_in_executor(self._network, self._extract, [piece.slices for piece in batch])
            self._note(sum(sizes), seconds)
            shares = split_outputs(given, sizes)
        except Exception as error:  # noqa: BLE001 - it is the callers' to know
            for piece in batch:
                if not piece.given.done():
                    piece.given.set_exception(error)
            return
        for piece, size, own in zip(batch, sizes, shares, strict=True):
            if not piece.given.done():
                piece.given.set_result((own, 1e3 * seconds * size / sum(sizes)))

    def _extract(self, parts: Sequence[Slices]) -> tuple[Outputs, float]:
        """In the network's thread: all parts as batches of the fixed sizes."""
        slices = parts[0] if len(parts) == 1 else np.concatenate(parts)
        begin = time.perf_counter()
        given = concatenate_outputs([self._extractor.extract(part) for part in split_into_batches(slices, self._sizes)])
        return given, time.perf_counter() - begin

    def _note(self, slices: int, seconds: float) -> None:
        rate = slices / max(seconds, 1e-6)
        self._slices_a_second = _RATE_KEPT * (self._slices_a_second or rate) + (1 - _RATE_KEPT) * rate
        self._figures.batches.observe(slices)

    def _retry_after_s(self) -> int:
        """When what is in hand will be done."""
        seconds = ceil(self._held / self._slices_a_second) if self._slices_a_second else 1
        return min(max(seconds, 1), _LONGEST_RETRY_S)


class _BatchMetrics:
    """For `/metrics`."""

    def __init__(self, registry: CollectorRegistry, held: Any) -> None:
        self.batches = Histogram(
            "ich_cnn_batch_slices",
            "Slices that went through the network together",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=registry,
        )
        self.dropped = Counter(
            "ich_cnn_dropped_slices_total", "Slices nobody waited for any more", ("why",), registry=registry
        )
        Gauge("ich_cnn_held_slices", "Slices of the requests in hand", registry=registry).set_function(held)


def batch_sizes(most: int) -> tuple[int, ...]:
    """The sizes that a network is asked for: powers of two below `most`, and itself; the largest first."""
    return (most, *(size for size in (1 << power for power in reversed(range(most.bit_length()))) if size < most))


def split_into_batches(slices: Slices, sizes: Sequence[int]) -> Iterator[Slices]:
    """Slices in parts of the given sizes, largest first; the smallest size is 1."""
    at = 0
    for size in sizes:
        while len(slices) - at >= size:
            yield slices[at : at + size]
            at += size


def split_outputs(given: Outputs, sizes: Sequence[int]) -> list[Outputs]:
    """An answer in parts of these sizes; ValueError where it has another number of rows."""
    if any(len(array) != sum(sizes) for array in given.values()):
        raise ValueError("the network answered another number of slices than it was asked for")
    places = [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]
    return [{name: array[place] for name, array in given.items()} for place in places]


def concatenate_outputs(parts: Sequence[Outputs]) -> Outputs:
    """Answers one behind the other; nothing of none."""
    if len(parts) <= 1:
        return parts[0] if parts else {}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

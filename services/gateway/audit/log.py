"""The audit log of a process: events from any thread become lines in one order, written by a thread of its own.

A request waits until its line is in the file (the page cache; heads flush it to disk), so no response leaves before its
line. Lines of concurrent requests are written together. The event loop never writes.
"""

import asyncio
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry

from services.gateway.audit.events import Event, system_event
from services.gateway.audit.heads import HeadPublisher
from services.gateway.audit.refusals import RefusalLimit
from services.gateway.audit.syslog_forwarder import SyslogForwarder, SyslogMetrics
from services.gateway.audit.writer import AuditOptions, ChainWriter

MAX_QUEUED: Final = 10_000
_MAX_BATCH: Final = 256
_SLOW: Final = "the disk does not answer"


@dataclass(frozen=True, slots=True)
class _Item:
    """An event, and the request that waits for its line."""

    event: Event | None
    loop: asyncio.AbstractEventLoop | None = None
    written: asyncio.Future[bool] | None = None


class AuditLog:
    """Appends events, in the order in which they come."""

    def __init__(self, options: AuditOptions, registry: CollectorRegistry) -> None:
        self._options = options
        self._syslog_metrics = SyslogMetrics(registry) if options.syslog else None
        self._writer = ChainWriter(options, registry)
        self._refusals = RefusalLimit()
        self._queue: queue.Queue[_Item | None] = queue.Queue(MAX_QUEUED)

    @property
    def required(self) -> bool:
        """Whether a request must not be served without its line."""
        return self._options.required

    @property
    def failing(self) -> bool:
        """Whether the last lines could not be written."""
        return self._writer.failing

    @contextmanager
    def running(self, start: Event) -> Iterator[None]:
        """Write lines until the context ends; the first line is `start`, the last one `stop`.

        Raises
        ------
        AuditFileUnusable
            the file cannot be opened
        SyslogUnusable
            a file of TLS for syslog cannot be used
        """
        if self._options.syslog:
            self._options.syslog.context()
        self._writer.open(start)
        thread = threading.Thread(target=self._run, name="audit", daemon=True)
        thread.start()
        heads, forwarder = self._publisher(), self._forwarder()
        try:
            yield
        finally:
            timeout_s = self._options.timeout_s
            for event in (*self._refusals.summary(final=True), system_event("stop")):
                self.post(event)
            with suppress(queue.Full):
                self._queue.put(None, timeout=timeout_s)
            thread.join(timeout_s)
            if heads:
                heads.stop(timeout_s)
            if forwarder:
                forwarder.stop(timeout_s)
            self._writer.close()

    def _publisher(self) -> HeadPublisher | None:
        options, writer = self._options, self._writer
        if options.head is None:
            return None
        heads = HeadPublisher(options.head, options.head_interval_s, writer.flushed_link, writer.fail_head)
        heads.start()
        return heads

    def _forwarder(self) -> SyslogForwarder | None:
        options, metrics = self._options, self._syslog_metrics
        if options.syslog is None or metrics is None:
            return None
        forwarder = SyslogForwarder(options.syslog, options.path, self.post, metrics)
        forwarder.start()
        return forwarder

    async def record(self, event: Event) -> bool:
        """Append an event, and wait until it is written; False where it was not in time."""
        for summary in self._refusals.summary():
            self.post(summary)
        return await self._written(event) if self._refusals.admits(event) else True

    async def recovered(self) -> bool:
        """Try to write after a failure; whether lines can be written."""
        return await self._written(None) if self.failing else True

    async def _written(self, event: Event | None) -> bool:
        loop = asyncio.get_running_loop()
        written: asyncio.Future[bool] = loop.create_future()
        if not self._enqueue(_Item(event, loop, written)):
            return False
        try:
            async with asyncio.timeout(self._options.timeout_s):
                return await written
        except TimeoutError:
            self._writer.fail(_SLOW, lost=0)  # the line may come late
            return False

    def post(self, event: Event) -> None:
        """Append an event without waiting, from any thread."""
        self._enqueue(_Item(event))

    def _enqueue(self, item: _Item) -> bool:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self._writer.fail(_SLOW, lost=1 if item.event else 0)
            return False
        return True

    def _run(self) -> None:
        while True:
            items, last = self._take()
            if items:
                written = self._writer.write([item.event for item in items if item.event])
                _resolve(items, written=written)
            if last:
                return

    def _take(self) -> tuple[list[_Item], bool]:
        """The waiting events, at least one; and whether the log ends."""
        taken: list[_Item] = []
        item = self._queue.get()
        while item is not None:
            taken.append(item)
            if len(taken) == _MAX_BATCH:
                return taken, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return taken, False
        return taken, True


def _resolve(items: Sequence[_Item], *, written: bool) -> None:
    """Tell the requests of one event loop whether their lines are written, by one call."""
    waiting = [item.written for item in items if item.written is not None]
    loop = next((item.loop for item in items if item.loop is not None), None)
    if loop is None:
        return

    def tell() -> None:
        for future in waiting:
            if not future.done():
                future.set_result(written)

    with suppress(RuntimeError):  # the loop is closed: no request waits
        loop.call_soon_threadsafe(tell)

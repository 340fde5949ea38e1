"""The audit log of a process: events from any thread become lines in one order, written by a thread of its own.

A request waits until its line is in the file (the page cache; heads flush it to disk), so no response leaves before its
line. Lines of concurrent requests are written together. The event loop never writes.
"""

import asyncio
import logging
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from services.gateway.audit.chain import Link, new_chain, seal
from services.gateway.audit.events import Event, system_event
from services.gateway.audit.file import AuditFile, AuditFileUnusable
from services.gateway.audit.heads import HeadDestination, HeadPublisher

log = logging.getLogger(__name__)
_MAX_QUEUED: Final = 10_000
_MAX_BATCH: Final = 256
_TIMEOUT_S: Final = 5.0  # of a disk that does not answer


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Where and how lines are written.

    required : whether audited requests are refused while lines cannot be written
    key : of the hashes; None for plain SHA-256
    """

    path: Path
    max_bytes: int
    keep: int
    required: bool = False
    key: bytes | None = None
    head: HeadDestination | None = None
    head_interval_s: float = 60.0


@dataclass(frozen=True, slots=True)
class _Item:
    """An event, and the request that waits for its line."""

    event: Event
    loop: asyncio.AbstractEventLoop | None = None
    written: asyncio.Future[bool] | None = None


class AuditLog:
    """Appends events, and counts the lines and heads that could not be written."""

    def __init__(self, options: AuditOptions, registry: CollectorRegistry) -> None:
        self._options = options
        self._errors = Counter(
            "ich_audit_errors_total", "Audit lines and heads that could not be written", registry=registry
        )
        self._file = AuditFile(options.path, options.max_bytes, options.keep)
        self._queue: queue.Queue[_Item | None] = queue.Queue(_MAX_QUEUED)
        self._lock = threading.Lock()  # of the file, the last place and the number of lost lines
        self._last = new_chain("")
        self._lost = 0
        self._start: Event = {}
        self._failing = False

    @property
    def required(self) -> bool:
        """Whether a request must not be served without its line."""
        return self._options.required

    @property
    def failing(self) -> bool:
        """Whether the last lines could not be written."""
        return self._failing

    @contextmanager
    def running(self, start: Event) -> Iterator[None]:
        """Write lines until the context ends; the first line is `start`, the last one `stop`.

        Raises
        ------
        AuditFileUnusable
            the file cannot be opened
        """
        tail = self._file.open()
        self._last = new_chain(tail.last_hash)
        self._start = {**start, "torn": tail.torn}
        self._write([], prefix=b"\n" if tail.torn else b"")
        writer = threading.Thread(target=self._run, name="audit", daemon=True)
        writer.start()
        heads = self._publisher()
        try:
            yield
        finally:
            self.post(system_event("stop"))
            with suppress(queue.Full):
                self._queue.put(None, timeout=_TIMEOUT_S)
            writer.join(_TIMEOUT_S)
            if heads:
                heads.stop(_TIMEOUT_S)
            with self._lock:
                self._file.close()

    def _publisher(self) -> HeadPublisher | None:
        options = self._options
        if options.head is None:
            return None
        heads = HeadPublisher(options.head, options.head_interval_s, self._flushed_link, self._head_failed)
        heads.start()
        return heads

    async def record(self, event: Event) -> bool:
        """Append an event, and wait until it is written; False where it was not within five seconds."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[bool] = loop.create_future()
        if not self._enqueue(_Item(event, loop, written)):
            return False
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await written
        except TimeoutError:
            self._failed("does not answer", 1)
            return False

    def post(self, event: Event) -> None:
        """Append an event without waiting, from any thread."""
        self._enqueue(_Item(event))

    async def recovered(self) -> bool:
        """Try to write after a failure; whether lines can be written."""
        return await self.record({}) if self._failing else True

    def _enqueue(self, item: _Item) -> bool:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            with self._lock:
                self._lost += 1
            self._failed("does not answer", 1)
            return False
        return True

    def _run(self) -> None:
        while True:
            items, last = self._take()
            if items:
                written = self._write([item.event for item in items if item.event])
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

    def _write(self, events: Sequence[Event], prefix: bytes = b"") -> bool:
        with self._lock:
            try:
                begins_with = self._file.prepare()
                lines, last = [prefix], self._last
                for event in (*self._due(begins_with), *events):
                    line, last = seal(event, last, self._options.key)
                    lines.append(line)
                self._file.append(b"".join(lines))
            except (OSError, AuditFileUnusable) as error:
                self._lost += len(events)
                reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
                self._failed(reason, len(events))
                return False
            self._last, self._lost = last, 0
        if self._failing:
            log.warning("the audit log is written again")
            self._failing = False
        return True

    def _due(self, begins_with: str | None) -> Iterator[Event]:
        """The events that come before others: the first of a new file, `start`, and the number of lost lines."""
        if self._last.sequence < 0:
            yield self._start
        elif begins_with:
            yield system_event(begins_with)
        if self._lost:
            yield system_event("lost", lines=self._lost)

    def _flushed_link(self) -> Link | None:
        with self._lock:
            if self._last.sequence < 0:
                return None
            last, descriptor = self._last, self._file.duplicate()
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return last

    def _head_failed(self, error: OSError) -> None:
        self._errors.inc()
        log.error("the head of the audit log cannot be published: %s", error.strerror)

    def _failed(self, reason: str, count: int) -> None:
        self._errors.inc(count)
        if not self._failing:
            effect = "audited requests are refused" if self.required else "requests are served without a line"
            log.error("the audit log cannot be written (%s): %s; %s", reason, self._options.path, effect)
        self._failing = True


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

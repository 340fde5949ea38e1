"""Writes events to the audit file as one chain, and counts those that it cannot write."""

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from services.gateway.audit.chain import Link, new_chain, seal
from services.gateway.audit.events import Event, system_event
from services.gateway.audit.file import AuditFile, AuditFileUnusable
from services.gateway.audit.heads import HeadDestination
from services.gateway.audit.syslog_connection import SyslogServer

log = logging.getLogger(__name__)
_SILENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Where and how lines are written.

    max_bytes : the file rotates above this size
    keep : number of rotated files
    required : whether audited requests are refused while lines cannot be written
    key : of the hashes; None for plain SHA-256
    timeout_s : that a request waits for a disk that does not answer
    """

    path: Path
    max_bytes: int
    keep: int
    required: bool = False
    key: bytes | None = None
    head: HeadDestination | None = None
    head_interval_s: float = 60.0
    syslog: SyslogServer | None = None
    timeout_s: float = 5.0


class ChainWriter:
    """The chain of this process. One thread writes; any thread may count a failure."""

    def __init__(self, options: AuditOptions, registry: CollectorRegistry) -> None:
        self._options = options
        self._errors = Counter(
            "ich_audit_errors_total", "Audit lines and heads that could not be written", registry=registry
        )
        self._file = AuditFile(options.path, options.max_bytes, options.keep)
        self._writing, self._counting = threading.Lock(), threading.Lock()
        self._last, self._lost = new_chain(""), 0
        self._start: Event = {}
        self._told, self._silent_until = False, 0.0
        self.failing = False
        """Whether the last lines could not be written."""

    def open(self, start: Event) -> None:
        """Open the file and write `start`; where the disk is full, it comes before the next line.

        Raises
        ------
        AuditFileUnusable
            the file cannot be opened
        """
        tail = self._file.open()
        self._last = new_chain(tail.last_hash)
        self._start = {**start, "torn": tail.torn, "after_rotation": tail.after_rotation}
        self.write([])

    def write(self, events: Sequence[Event]) -> bool:
        """Append events as lines; False where none could be written."""
        with self._writing:
            lost = self._lost
            try:
                lines, last = self._sealed([*self._due(self._file.prepare(), lost), *events])
                self._file.append(lines)
            except OSError as error:
                self.fail(error.strerror or type(error).__name__, len(events))
                return False
            except AuditFileUnusable as error:
                self.fail(str(error), len(events))
                return False
            self._last = last
        self._recovered(lost)
        return True

    def _due(self, begins_with: str | None, lost: int) -> Iterator[Event]:
        """The events that come before others: `start`, the first one of a new file, the number of lost lines."""
        if self._last.sequence < 0:
            yield {**self._start, "after_rotation": True} if begins_with == "rotate" else self._start
        elif begins_with:
            yield system_event(begins_with)
        if lost:
            yield system_event("lost", lines=lost)

    def _sealed(self, events: Sequence[Event]) -> tuple[bytes, Link]:
        last, lines = self._last, []
        if last.sequence < 0 and self._start.get("torn"):
            lines.append(b"\n")  # ends the incomplete line
        for event in events:
            line, last = seal(event, last, self._options.key)
            lines.append(line)
        return b"".join(lines), last

    def _recovered(self, lost: int) -> None:
        with self._counting:
            self._lost -= lost
        if self.failing and self._told:
            log.warning("the audit log is written again")
        self.failing = self._told = False

    def fail(self, reason: str, lost: int) -> None:
        """Count lines that are lost; the service's log tells the first failure of a time, at most one a minute."""
        self._errors.inc()
        with self._counting:
            self._lost += lost
        if not self.failing and time.monotonic() >= self._silent_until:
            self._told, self._silent_until = True, time.monotonic() + _SILENCE_S
            required = self._options.required
            effect = "audited requests are refused" if required else "requests are served without a line"
            log.error("the audit log cannot be written (%s): %s; %s", reason, self._options.path, effect)
        self.failing = True

    def fail_head(self, error: OSError) -> None:
        """Count a head that its destination did not take."""
        self._errors.inc()
        log.error("the head of the audit log cannot be published: %s", error.strerror)

    def flushed_link(self) -> Link | None:
        """Flush the file to disk; return the place of its last line, None without one."""
        with self._writing:
            if self._last.sequence < 0:
                return None
            last, descriptor = self._last, self._file.duplicate()
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return last

    def close(self) -> None:
        """Close the file."""
        with self._writing:
            self._file.close()

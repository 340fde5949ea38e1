"""Sends the lines of the audit log to a syslog server over TLS: in order, at least once, from the file itself.

Syslog has no acknowledgement. A line counts as delivered once the server's system has acknowledged it and the
connection has lived for five more seconds, or was closed in order. Lines that are not delivered yet are sent again on
the next connection. The position of the last delivered line is in a file beside the log.
"""

import logging
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.gateway.audit.events import Event, system_event
from services.gateway.audit.follow import Follower, Position, read_position, write_position
from services.gateway.audit.syslog_connection import SyslogConnection, SyslogServer, SyslogUnusable
from services.gateway.audit.syslog_message import frame

log = logging.getLogger(__name__)
SETTLE_S: Final = 5.0
_POLL_S: Final = 0.5
_RETRY_S, _MAX_RETRY_S = 1.0, 60.0
_SILENCE_S: Final = 600.0
_LEAST_CLOSE_S: Final = 0.1


@dataclass(slots=True)
class _Unsettled:
    """Positions of sent lines, at most one for each half second: its end, the position, and all bytes sent by then."""

    sent: deque[tuple[float, Position, int]] = field(default_factory=deque)

    def add(self, position: Position, total_bytes: int, now: float) -> None:
        """Note a position that was sent."""
        ends = now + _POLL_S
        if self.sent and now < self.sent[-1][0]:
            ends = self.sent.pop()[0]
        self.sent.append((ends, position, total_bytes))

    def settled(self, acknowledged_bytes: int, now: float) -> Position | None:
        """Remove and return the newest position that is old enough and acknowledged."""
        found = None
        while self.sent and now - self.sent[0][0] >= SETTLE_S and self.sent[0][2] <= acknowledged_bytes:
            found = self.sent.popleft()[1]
        return found


class SyslogMetrics:
    """The forwarder's metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lines = Counter("ich_audit_syslog_lines_total", "Audit lines sent to syslog", registry=registry)
        self.errors = Counter(
            "ich_audit_syslog_errors_total", "Failed connections to the syslog server", registry=registry
        )
        self.unsent = Counter(
            "ich_audit_syslog_unsent_total",
            "Times that rotation deleted audit lines before they were sent to syslog",
            registry=registry,
        )
        self.backlog = Gauge(
            "ich_audit_syslog_backlog_bytes", "Bytes of audit lines that are not delivered to syslog", registry=registry
        )


class SyslogForwarder:
    """A thread that follows the log and sends it.

    Parameters
    ----------
    post : appends an event to the audit log, for lines that were deleted before they were sent
    """

    def __init__(self, server: SyslogServer, path: Path, post: Callable[[Event], None], metrics: SyslogMetrics) -> None:
        self._server, self._path, self._post = server, path, post
        self._store = path.with_suffix(".syslog")
        self._metrics = metrics
        self._host = socket.gethostname()
        self._delivered = read_position(self._store)
        self._unsettled = _Unsettled()
        self._stopped = threading.Event()
        self._ends = float("inf")
        self._silent_until = 0.0
        self._told: Position | None = None
        self._thread = threading.Thread(target=self._run, name="audit-syslog", daemon=True)

    def start(self) -> None:
        """Begin to send.

        Raises
        ------
        SyslogUnusable
            a file of TLS cannot be used
        """
        self._server.context()
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Send what is left, for a limited time, and end."""
        self._ends = time.monotonic() + timeout_s
        self._stopped.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        retry_s = _RETRY_S
        while not self._stopped.is_set():
            begun = time.monotonic()
            try:
                self._connected()
            except (OSError, ValueError, SyslogUnusable) as error:
                self._failed(error)
            if time.monotonic() - begun > _MAX_RETRY_S:
                retry_s = _RETRY_S  # the connection was good for a while
            self._stopped.wait(retry_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads reconnections
            retry_s = min(retry_s * 2, _MAX_RETRY_S)

    def _failed(self, error: Exception) -> None:
        self._metrics.errors.inc()
        self._tell(f"the audit log cannot be sent to syslog ({_reason(error)}); its lines wait in the file")
        with suppress(OSError):
            self._observe()
            if (
                self._told != self._delivered
                and (missing := Follower(self._path, self._delivered).next_batch().missing) != 0
            ):
                self._tell_missing(missing)

    def _connected(self) -> None:
        """Send on one connection until it breaks, or until the log has ended and is sent."""
        self._unsettled = _Unsettled()
        follower = Follower(self._path, self._delivered)
        connection = SyslogConnection(self._server)
        try:
            while True:
                stopping = self._stopped.is_set()  # read before the lines, so that the last ones are sent
                sent = self._send(connection, follower)
                connection.check()
                self._settle(connection)
                self._observe()
                if stopping and (not sent or time.monotonic() >= self._ends):
                    break
                if not sent:
                    self._stopped.wait(_POLL_S)
            if connection.finish(max(self._ends - time.monotonic(), _LEAST_CLOSE_S)) and follower.position:
                self._deliver(follower.position)
        finally:
            connection.close()

    def _send(self, connection: SyslogConnection, follower: Follower) -> bool:
        """Send a batch; return whether there was one."""
        batch = follower.next_batch()
        if batch.missing != 0:
            self._tell_missing(batch.missing)
        if not batch.lines or batch.position is None:
            return False
        connection.send(b"".join(frame(line, raw, self._host) for line, raw in batch.lines))
        self._metrics.lines.inc(len(batch.lines))
        self._unsettled.add(batch.position, connection.sent_bytes, time.monotonic())
        return True

    def _settle(self, connection: SyslogConnection) -> None:
        # Encryption only adds bytes, so at least these of the frames are acknowledged.
        acknowledged = connection.sent_bytes - connection.unacknowledged_bytes()
        if position := self._unsettled.settled(acknowledged, time.monotonic()):
            self._deliver(position)

    def _deliver(self, position: Position) -> None:
        self._delivered = position
        try:
            write_position(self._store, position)
        except OSError as error:  # after a restart, more lines are sent again
            self._metrics.errors.inc()
            self._tell(f"the position of syslog cannot be stored ({error.strerror})")

    def _tell(self, text: str) -> None:
        if time.monotonic() >= self._silent_until:
            self._silent_until = time.monotonic() + _SILENCE_S
            log.error(text)

    def _tell_missing(self, lines: int | None) -> None:
        """Say once for each position that the lines behind it were deleted."""
        if self._told == self._delivered:
            return
        self._told = self._delivered
        self._metrics.unsent.inc()
        log.error("rotation deleted %s audit lines before they were sent to syslog", "some" if lines is None else lines)
        self._post(system_event("unsent", **({} if lines is None else {"lines": lines})))

    def _observe(self) -> None:
        self._metrics.backlog.set(Follower(self._path, self._delivered).backlog_bytes())


def _reason(error: Exception) -> str:
    """A reason without addresses or names of a certificate."""
    text = getattr(error, "verify_message", None) or getattr(error, "reason", None)
    return str(text or getattr(error, "strerror", None) or error or type(error).__name__)

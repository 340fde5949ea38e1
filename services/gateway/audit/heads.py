"""Publishes the place of the last audit line outside the audit file, so that a cut tail shows."""

import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from services.common.timestamps import utc_now
from services.gateway.audit.chain import Link

_SYSLOG_PORT: Final = 514
_PRIORITY: Final = 10 * 8 + 5  # authpriv.notice (RFC 5424, section 6.2.1)
_SEND_TIMEOUT_S: Final = 5.0


class HeadDestination(Protocol):
    """A place for heads; OSError where it does not take one."""

    def send(self, head: bytes) -> None: ...


class HeadFile:
    """Appends heads to a file, one JSON line each."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, head: bytes) -> None:
        """Append a head, and flush it to disk."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        options = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, options, 0o600)
        try:
            os.write(descriptor, head + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Syslog:
    """Sends heads to a syslog server, as datagrams to a Unix socket or by UDP (RFC 3164)."""

    def __init__(self, address: str | tuple[str, int]) -> None:
        self._address = address

    def send(self, head: bytes) -> None:
        """Send a head; UDP may lose it."""
        message = b"<%d>ich-audit: %s" % (_PRIORITY, head)
        family, address = self._resolved()
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.settimeout(_SEND_TIMEOUT_S)
            sender.sendto(message, address)

    def _resolved(self) -> tuple[int, Any]:
        if isinstance(self._address, str):
            return socket.AF_UNIX, self._address
        family, _, _, _, address = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
        return family, address


def head_destination(text: str) -> HeadDestination:
    """The destination that a setting names: a path, `syslog:/dev/log`, or `syslog://host:port`.

    Raises
    ------
    ValueError
        the address has another form
    """
    if not text.startswith("syslog:"):
        return HeadFile(Path(text))
    parts = urlsplit(text)
    if parts.hostname and not parts.path:
        return Syslog((parts.hostname, parts.port or _SYSLOG_PORT))
    if parts.path.startswith("/") and not parts.netloc:
        return Syslog(parts.path)
    raise ValueError(f"{text!r} must be a path, syslog:/dev/log, or syslog://host:port")


def head_line(link: Link) -> bytes:
    """A head as JSON."""
    document = {"time": utc_now(), "chain": link.chain, "seq": link.sequence, "hash": link.hash}
    return json.dumps(document, separators=(",", ":")).encode()


class HeadPublisher:
    """Publishes a head at start, at intervals in which lines were written, and at stop.

    Parameters
    ----------
    flushed_link : flushes the audit file to disk, and returns the place of its last line; None without a line
    failed : called with the error of a head that was not taken
    """

    def __init__(
        self,
        destination: HeadDestination,
        interval_s: float,
        flushed_link: Callable[[], Link | None],
        failed: Callable[[OSError], None],
    ) -> None:
        self._destination, self._interval_s = destination, interval_s
        self._flushed_link, self._failed = flushed_link, failed
        self._published: Link | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-head", daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Publish the last head, and end."""
        self._stopped.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        self._publish()
        while not self._stopped.wait(self._interval_s):
            self._publish()
        self._publish()

    def _publish(self) -> None:
        try:
            link = self._flushed_link()
            if link is not None and link != self._published:
                self._destination.send(head_line(link))
                self._published = link
        except OSError as error:
            self._failed(error)

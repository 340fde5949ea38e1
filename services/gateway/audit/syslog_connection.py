"""A connection to a syslog server over TLS (RFC 5425). Every wait has a limit; nothing here is on a request's way."""

import fcntl
import socket
import ssl
import struct
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_PORT: Final = 6514
_CONNECT_S: Final = 10.0
_SEND_S: Final = 30.0  # without progress
_READ_BYTES: Final = 4096
_MAX_READS: Final = 16  # of bytes that a server sends against the protocol


class SyslogUnusable(Exception):
    """The message names the setting, the file and the remedy."""


@dataclass(frozen=True, slots=True)
class SyslogServer:
    """A server by name, and the files for TLS; the system's authorities without `ca_file`."""

    host: str
    port: int = _PORT
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer, with the server's certificate and name verified; read anew for each connection.

        Raises
        ------
        SyslogUnusable
            a file is unreadable, or is no certificate or key
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.certificate_file:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise SyslogUnusable(
                f"the files of ICH_GATEWAY_AUDIT_SYSLOG_* cannot be used ({error.strerror or error}): give PEM files "
                "of the authorities, of the client's certificate and of its key"
            ) from error
        return context


def syslog_address(text: str) -> tuple[str, int]:
    """Host and port of `tls://host:port`.

    Raises
    ------
    ValueError
        the address has another form
    """
    parts = urlsplit(text)
    extra = parts.path or parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme != "tls" or not parts.hostname or extra:
        raise ValueError(f"{text!r} must be tls://host:{_PORT}")
    return parts.hostname, parts.port or _PORT


class SyslogConnection:
    """An open connection; every method raises OSError where it is broken or too slow."""

    def __init__(self, server: SyslogServer) -> None:
        plain = socket.create_connection((server.host, server.port), timeout=_CONNECT_S)
        try:
            self._socket = server.context().wrap_socket(plain, server_hostname=server.host)
        except BaseException:
            plain.close()
            raise
        self._socket.settimeout(_SEND_S)
        self.sent_bytes = 0
        """Bytes of all frames that were sent."""

    def send(self, frames: bytes) -> None:
        """Send frames whole; a server that takes nothing for 30 s is too slow."""
        view = memoryview(frames)
        while view:
            view = view[self._socket.send(view) :]
        self.sent_bytes += len(frames)

    def check(self) -> None:
        """Read, and drop, what the server has sent: an end or an alert raises."""
        self._socket.settimeout(0)
        try:
            for _ in range(_MAX_READS):
                if not self._socket.recv(_READ_BYTES):
                    raise ConnectionResetError("the server closed the connection")
        except (ssl.SSLWantReadError, BlockingIOError):
            return
        finally:
            self._socket.settimeout(_SEND_S)

    def unacknowledged_bytes(self) -> int:
        """Return the bytes, encrypted, that the server's system has not acknowledged (SIOCOUTQ, tcp(7))."""
        (left,) = struct.unpack("i", fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, struct.pack("i", 0)))
        return int(left)

    def finish(self, timeout_s: float) -> bool:
        """Close; return whether, in time, the server closed too after it had read everything.

        A server that closes with unread bytes resets the connection (RFC 2525, section 2.17).
        """
        try:
            self._socket.settimeout(timeout_s)
            plain = self._socket.unwrap()  # close_notify of both sides
        except ssl.SSLEOFError:
            return True  # without a close_notify of its own, but in order
        except OSError:
            return False
        try:
            plain.settimeout(timeout_s)
            plain.shutdown(socket.SHUT_WR)
            return plain.recv(1) == b""
        except OSError:
            return False
        finally:
            plain.close()

    def close(self) -> None:
        """Close at once."""
        self._socket.close()

"""A syslog server over TLS for tests, and programs that write a log."""

import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from prometheus_client import CollectorRegistry

from services.gateway.audit.events import system_event
from services.gateway.audit.log import AuditLog
from services.gateway.audit.syslog_connection import SyslogServer
from tests.dicom_node.receive.certificates import Authority
from tests.gateway.audit.factories import START, options_of

WAIT_S = 120.0


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < ends, "the condition was not met"
        time.sleep(0.02)


class Receiver:
    """Reads frames by octet counting, at most `chunk` bytes at a time; keeps the messages in their order."""

    def __init__(self, authority: Authority, port: int = 0, *, clients: bool = False, chunk: int = 65536) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*authority.issue("localhost"))
        if clients:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(authority.path)
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self._chunk, self._open = chunk, True
        self._connections: list[socket.socket] = []
        self.messages: list[bytes] = []
        self.connections = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        self._thread.join(WAIT_S)

    def drop(self) -> None:
        """Break the open connections at once."""
        with suppress(IndexError):
            while True:
                with self._connections.pop() as connection, suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def lines(self) -> list[dict[str, Any]]:
        """The audit lines in the messages, as the log holds them."""
        return [json.loads(message[message.index(b" {") + 1 :]) for message in list(self.messages)]

    def _serve(self) -> None:
        while self._open:
            with suppress(OSError):
                plain, _ = self._listener.accept()
                self._connections.append(plain.dup())  # the wrapper takes the other one
                with plain, self._context.wrap_socket(plain, server_side=True) as connection:
                    self.connections += 1
                    self._read(connection)
            self.drop()

    def _read(self, connection: ssl.SSLSocket) -> None:
        left = b""
        while data := connection.recv(self._chunk):
            left += data
            while b" " in left and len(left) >= (end := left.index(b" ") + 1 + int(left[: left.index(b" ")])):
                self.messages.append(left[left.index(b" ") + 1 : end])
                left = left[end:]
        with suppress(OSError):
            connection.unwrap()


@contextmanager
def sending_log(path: Path, server: SyslogServer, **others: Any) -> Iterator[tuple[AuditLog, CollectorRegistry]]:
    """A log that sends its lines."""
    registry = CollectorRegistry()
    log = AuditLog(options_of(path, **{"syslog": server, "timeout_s": WAIT_S, **others}), registry)
    with log.running(START):
        yield log, registry


def main(path: Path, port: int, authority: Path, count: int) -> None:
    """Write and send `count` lines, and wait to be killed."""
    with sending_log(path, SyslogServer("localhost", port, authority)) as (log, _):
        for number in range(count):
            log.post(system_event("read", number=number))
            time.sleep(0.001)
        print("written", flush=True)
        time.sleep(WAIT_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))

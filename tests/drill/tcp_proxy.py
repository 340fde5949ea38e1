"""A TCP proxy that a drill slows down or cuts off, as a network does."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_BLOCK: Final = 1 << 16


class TcpProxy:
    """Forwards connections to a local port. Data that comes while it is cut off arrives later.

    delay_s : seconds by which each block from a client is late
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connected = threading.Event()
        self._connected.set()
        self.delay_s = 0.0

    @property
    def url(self) -> str:
        """Its address for HTTP."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @contextmanager
    def running(self) -> Iterator["TcpProxy"]:
        """Forward until the context ends."""
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            self._connected.set()
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Forward nothing until the context ends."""
        self._connected.clear()
        try:
            yield
        finally:
            self._connected.set()

    @contextmanager
    def slowed(self, delay_s: float) -> Iterator[None]:
        """Delay each block from a client until the context ends."""
        self.delay_s = delay_s
        try:
            yield
        finally:
            self.delay_s = 0.0

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._connected.wait()
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as server:
            back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
            back.start()
            self._copy(client, server, requests=True)
            back.join()

    def _copy(self, source: socket.socket, target: socket.socket, *, requests: bool = False) -> None:
        """Copy to the end; then the other direction has an end, too."""
        with suppress(OSError):
            while block := source.recv(_BLOCK):
                self._connected.wait()
                if requests:
                    time.sleep(self.delay_s)
                target.sendall(block)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

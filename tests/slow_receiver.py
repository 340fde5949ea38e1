"""Web servers that answer too slowly, too much, or never. Each counts the bytes that it could send."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

_PAUSE_S: Final = 0.05
_BLOCK: Final = bytes(1 << 16)
Answer = Callable[[socket.socket, threading.Event], None]


def silent(_: socket.socket, stop: threading.Event) -> None:
    """Answer nothing."""
    stop.wait()


def drip(connection: socket.socket, stop: threading.Event) -> None:
    """Send a header byte by byte, so that no read waits long."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
    while not stop.is_set():
        connection.sendall(b"a")
        time.sleep(_PAUSE_S)


def drip_body(connection: socket.socket, stop: threading.Event) -> None:
    """Answer 200, then send a body byte by byte."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not stop.is_set():
        connection.sendall(b"a")
        time.sleep(_PAUSE_S)


def endless_body(connection: socket.socket, stop: threading.Event) -> None:
    """Answer 200, then send a body without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while not stop.is_set():
        connection.sendall(b"%x\r\n%s\r\n" % (len(_BLOCK), _BLOCK))


def endless_headers(connection: socket.socket, stop: threading.Event) -> None:
    """Send headers without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not stop.is_set():
        connection.sendall(b"x: " + b"a" * 1000 + b"\r\n")


def endless_informational(connection: socket.socket, stop: threading.Event) -> None:
    """Send informational responses (RFC 9110, 15.2) without end."""
    while not stop.is_set():
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: </>\r\n\r\n")
        time.sleep(_PAUSE_S)


@contextmanager
def serving(answer: Answer, port: int = 0) -> Iterator[str]:
    """The address of a server that answers each connection like this, on a port, 0 for a free one."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", port)) as server:
        thread = threading.Thread(target=_accept, args=(server, answer, stop), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            stop.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept(server: socket.socket, answer: Answer, stop: threading.Event) -> None:
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_serve, args=(connection, answer, stop), daemon=True).start()


def _serve(connection: socket.socket, answer: Answer, stop: threading.Event) -> None:
    with connection, suppress(OSError):
        connection.recv(1 << 16)
        answer(connection, stop)

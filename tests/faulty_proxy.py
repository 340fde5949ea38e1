"""A proxy in front of an HTTP server that fails on request: for storages that are slow, overloaded or cut off."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import httpx

Fault = int | Literal["lost", "silent"]


class FaultyProxy:
    """Forwards requests; the next ones meet the faults in turn.

    faults : of the next requests. An HTTP status in place of an answer; `lost`: the server does it, and the answer is
    lost; `silent`: nothing comes until the proxy ends; None: no fault
    always : of the requests after them
    """

    def __init__(self, server: str) -> None:
        self.faults: deque[Fault | None] = deque()
        self.always: Fault | None = None
        self.requests = 0
        self.ended = threading.Event()
        self.client = httpx.Client(base_url=server, timeout=60)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                proxy.answer(self)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any  # noqa: N815 - names of http.server

            def log_message(self, *_: Any) -> None:
                pass

        self.listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        self.requests += 1
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        fault = self.faults.popleft() if self.faults else self.always
        if fault == "silent":
            self.ended.wait()
        if fault is None or fault == "lost":
            headers = list(request.headers.items())
            answer = self.client.request(request.command, request.path, headers=headers, content=body)
        if fault in ("silent", "lost"):
            request.close_connection = True
        elif fault is None:
            self._send(request, answer.status_code, answer.content, answer.headers)
        else:
            content = f"<Error><Code>SlowDown</Code><AWSAccessKeyId>{request.headers}</AWSAccessKeyId></Error>"
            self._send(request, int(fault), content.encode(), {})

    def _send(self, request: BaseHTTPRequestHandler, status: int, content: bytes, headers: Any) -> None:
        request.send_response(status)
        for name, value in headers.items():
            if name not in ("content-length", "transfer-encoding", "connection", "content-encoding"):
                request.send_header(name, value)
        length = headers.get("content-length", "0") if request.command == "HEAD" else str(len(content))
        request.send_header("content-length", length)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)


@contextmanager
def faulty_proxy(server: str) -> Iterator[FaultyProxy]:
    """A running proxy."""
    proxy = FaultyProxy(server)
    thread = threading.Thread(target=proxy.listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.ended.set()
        proxy.listener.shutdown()
        proxy.listener.server_close()
        proxy.client.close()

"""A web server in this process, which answers as a function says."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class WebRequest:
    """A request; names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class WebAnswer:
    """A response."""

    status: int
    body: bytes = b""
    media_type: str = "application/dicom+json"


@dataclass
class WebPeer:
    """A running server, and the requests that it got."""

    url: str
    requests: list[WebRequest] = field(default_factory=list)


@contextmanager
def answering(answer: Callable[[WebRequest], WebAnswer], port: int = 0) -> Iterator[WebPeer]:
    """Serve until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = WebRequest(self.command, self.path, headers, body)
            peer.requests.append(request)
            answered = answer(request)
            self.send_response(answered.status)
            self.send_header("content-type", answered.media_type)
            self.send_header("content-length", str(len(answered.body)))
            self.end_headers()
            self.wfile.write(answered.body)

        do_GET = do_POST = _answer  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    peer = WebPeer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        server.server_close()

"""An OpenID provider's documents over HTTP, on a loopback address."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.common.identity.oidc.issuer import RSA, public


class ProviderServer:
    """Attributes may be changed while it runs.

    answers : status and body of each path
    asked : paths of all requests
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        discovery = {"issuer": url, "jwks_uri": f"{url}/jwks"}
        self.answers: dict[str, tuple[int, Any]] = {
            "/.well-known/openid-configuration": (200, discovery),
            "/jwks": (200, {"keys": [public(RSA)]}),
        }


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[ProviderServer]:
    """A server until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked.append(self.path)
            status, content = provider.answers.get(self.path, (404, {}))
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            if status == 302:
                self.send_header("location", f"{provider.url}/jwks")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    host = "localhost" if tls else "127.0.0.1"
    provider = ProviderServer(f"http{'s' if tls else ''}://{host}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""A blocking HTTP client of one peer: TLS, credentials and bounded responses."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Self

import httpx

from services.common.tracing import method_span, trace_headers
from services.dicom_node.peers import Peer, PeerUnavailable, read_secret

_CONNECT_S: Final = 10.0
_MAX_RESPONSE_BYTES: Final = 16 * 1024**2
_PIECE_BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class WebResponse:
    """A whole response. `body` is empty where it exceeds 16 MiB."""

    status: int
    media_type: str
    body: bytes

    @property
    def is_success(self) -> bool:
        return httpx.codes.is_success(self.status)


class WebClient:
    """Sends requests to the peer alone: it follows no redirect, and knows no proxy.

    Parameters
    ----------
    timeout_s : without a byte sent or received
    """

    def __init__(self, peer: Peer, timeout_s: float) -> None:
        self._peer = peer
        self._client = httpx.Client(
            verify=peer.tls_context(),
            timeout=httpx.Timeout(timeout_s, connect=_CONNECT_S),
            trust_env=False,
            auth=_authentication(peer),
            headers={"accept-encoding": "identity"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def request(
        self, method: str, url: str, headers: Mapping[str, str], content: Iterable[bytes] | bytes = b""
    ) -> WebResponse:
        """Send a request; PeerUnavailable where no whole response comes."""
        with self.stream(method, url, headers, content) as response:
            body, size = [], 0
            for piece in response.iter_bytes(_PIECE_BYTES):
                size += len(piece)
                body.append(piece)
                if size > _MAX_RESPONSE_BYTES:
                    body.clear()
                    break
            media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            return WebResponse(response.status_code, media_type, b"".join(body))

    @contextmanager
    def stream(
        self, method: str, url: str, headers: Mapping[str, str], content: Iterable[bytes] | bytes = b""
    ) -> Iterator[httpx.Response]:
        """A response whose body is read by the caller; PeerUnavailable where the connection fails."""
        try:
            with (
                method_span(method, self._peer.name) as span,
                self._client.stream(method, url, headers={**headers, **trace_headers()}, content=content) as response,
            ):
                span.set("http.response.status_code", response.status_code)
                yield response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PeerUnavailable(
                "unreachable",
                f"{self._peer.name} does not answer by HTTP ({type(error).__name__}): check its URL, firewall and TLS",
            ) from error

    def unavailable(self, status: int) -> PeerUnavailable:
        """The error of a response that says nothing of the request's content."""
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            remedy = "check its token_file, or its user and password_file"
        else:
            remedy = "check its URL, and its log"
        return PeerUnavailable(f"http_{status}", f"{self._peer.name} answers {status}: {remedy}")


def _authentication(peer: Peer) -> httpx.Auth | None:
    if peer.user and peer.password_file:
        return httpx.BasicAuth(peer.user, read_secret(peer.password_file))
    return _Bearer(read_secret(peer.token_file)) if peer.token_file else None


class _Bearer(httpx.Auth):
    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["authorization"] = self._header
        yield request

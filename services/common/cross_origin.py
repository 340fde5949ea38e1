"""ASGI middleware against cross-site request forgery: a page of another origin may change no state here.

A browser names the page's relation to this server in Sec-Fetch-Site (W3C Fetch Metadata), and its origin in Origin
(RFC 6454). Other clients send neither, and pass.
"""

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.common.error_handlers import problem_response
from services.common.problems import Problem

SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")  # RFC 9110, section 9.2.1
_SAME_ORIGIN: Final = ("same-origin", "none")  # `none`: the user's own action


class CrossOriginRequest(Problem):
    status = 403
    code = "cross_origin"
    title = "Pages of other origins may not send this request"


class CrossOriginMiddleware:
    """Refuses state-changing requests that a page of another origin sends, unless its origin is allowed.

    A page on another port of the same host is of another origin, although its site is the same.
    """

    def __init__(self, app: ASGIApp, allowed: tuple[str, ...] = ()) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or self._may_send(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        detail = (
            "the request comes from a page of another origin, which is not in the setting cors_origins of this service"
        )
        await problem_response(CrossOriginRequest(detail))(scope, receive, send)

    def _may_send(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin in self._allowed:
            return True
        if site := headers.get("sec-fetch-site"):
            return site in _SAME_ORIGIN
        return origin is None or _authority(origin) == headers.get("host", "").lower()


def _authority(origin: str) -> str | None:
    """Host and port of an origin; None where it has none, as the opaque origin `null`."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None

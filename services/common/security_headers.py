"""ASGI middleware that restricts what browsers do with a service's responses.

Content Security Policy Level 3 (W3C), Cross-Origin-Resource-Policy (Fetch), and `no-store`: any response of the API may
be about a patient.
"""

import base64
import hashlib
import re
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_INLINE_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_EVERYWHERE: Final = "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGE_POLICY: Final = f"default-src 'self'; img-src 'self' data: blob:; {_EVERYWHERE}"
_API_POLICY: Final = f"default-src 'none'; {_EVERYWHERE}"
# Swagger UI and ReDoc style their elements inline; ReDoc searches in a worker that it makes from a blob.
_DOCS_POLICY: Final = (
    "default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    f"worker-src blob:; {_EVERYWHERE}"
)
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


def page_policy(issuer: str | None) -> str:
    """The policy of a page that logs in at an OpenID provider: its scripts may fetch from the provider's origin too."""
    if issuer is None:
        return PAGE_POLICY
    url = urlsplit(issuer)
    return f"{PAGE_POLICY}; connect-src 'self' {url.scheme}://{url.netloc}"


class SecurityHeadersMiddleware:
    """Sets the headers on every response.

    A response keeps the policy that its route has set. A document with inline scripts, as those of
    the API's documentation, gets a policy that allows these scripts by their hashes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        waiting: Message | None = None  # the start of a document, until its body shows its scripts

        async def secured_send(message: Message) -> None:
            nonlocal waiting
            if message["type"] == "http.response.start":
                headers = _with_fixed_headers(message)
                if "content-security-policy" in headers or not _is_document(headers):
                    headers.setdefault("content-security-policy", _API_POLICY)
                else:
                    waiting = message
                    return
            elif waiting is not None:
                MutableHeaders(scope=waiting)["content-security-policy"] = _docs_policy(message.get("body", b""))
                await send(waiting)
                waiting = None
            await send(message)

        await self._app(scope, receive, secured_send)


def _with_fixed_headers(start: Message) -> MutableHeaders:
    headers = MutableHeaders(scope=start)
    headers.update(_HEADERS)
    headers["cache-control"] = "no-cache" if "etag" in headers else "no-store"  # files of the page have one
    return headers


def _is_document(headers: Headers) -> bool:
    return headers.get("content-type", "").startswith("text/html")


def _docs_policy(document: bytes) -> str:
    hashes = (hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(document))
    return _DOCS_POLICY.format(scripts=" ".join(f"'sha256-{base64.b64encode(found).decode()}'" for found in hashes))

"""HEAD wherever GET is: the same status and headers, no body (RFC 9110, section 9.3.2)."""

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """Lets the application answer HEAD as GET, and stops it at the end of its headers: a stream may never end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        with anyio.CancelScope() as working:

            async def send_headers(message: Message) -> None:
                if message["type"] != "http.response.start" or working.cancel_called:
                    return
                scope["method"] = "HEAD"  # the server asks it when it frames the body
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                working.cancel()

            try:
                scope["method"] = "GET"
                await self._app(scope, receive, send_headers)
            finally:
                scope["method"] = "HEAD"

"""HEAD for every GET route: the same status and headers, no body (RFC 9110, section 9.3.2)."""

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """ASGI middleware that runs HEAD as GET and cancels it after the headers: a stream may never end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        with anyio.CancelScope() as response:

            async def send_headers(message: Message) -> None:
                if message["type"] != "http.response.start" or response.cancel_called:
                    return
                scope["method"] = "HEAD"  # the server reads it to frame the body
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                response.cancel()

            try:
                scope["method"] = "GET"
                await self._app(scope, receive, send_headers)
            finally:
                scope["method"] = "HEAD"

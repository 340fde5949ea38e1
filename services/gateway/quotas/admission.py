"""Counts each request that has a sender, before its body is read, and puts the count into its response."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.clients import Client
from services.gateway.quotas.limits import Limits
from services.gateway.quotas.problems import RateLimited
from services.gateway.quotas.rate_limiter import RateLimiter, RateState
from services.gateway.quotas.refusals import Refusals

_STATE: Final = "rate_limit"


class RateAdmission:
    """Admits requests of senders within their rate."""

    def __init__(self, limits: Limits, limiter: RateLimiter, refused: Refusals) -> None:
        self._limits, self._limiter, self._refused = limits, limiter, refused

    async def admit(self, request: Request, client: Client) -> None:
        """Count a request.

        Raises
        ------
        RateLimited
            the sender's minute is used up; the body was not read
        """
        limit = self._limits.of(client.sender).requests_per_minute
        found = await self._limiter.count(client.share, limit) if limit else None
        if found is None:
            return
        setattr(request.state, _STATE, found)
        if found.wait_s is not None:
            self._refused.add("requests")
            raise RateLimited.of(found.limit, found.wait_s)


class RateLimitHeadersMiddleware:
    """Sets `RateLimit-Policy` and `RateLimit` on the responses to counted requests."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted_send(message: Message) -> None:
            found: RateState | None = scope.get("state", {}).get(_STATE)
            if found is not None and message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(found.headers())
            await send(message)

        await self._app(scope, receive, counted_send if scope["type"] == "http" else send)

"""The end of a service: first it is no longer ready, then it takes no more requests, then those in hand end."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI

from services.common.problems import NotReady

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
TERMINATE: Final = signal.SIGTERM


class GracefulShutdown:
    """Holds SIGTERM back from the server for `seconds`, in which `/readyz` says that the service is going."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.draining = False

    def check(self) -> None:
        """NotReady from the moment of the signal on."""
        if self.draining:
            raise NotReady("the service is ending; requests in hand are answered", cause="ending")

    def wrap_lifespan(self, lifespan: Lifespan | None) -> Lifespan:
        """The application's lifespan, with the signal watched in it."""

        @asynccontextmanager
        async def watched(app: FastAPI) -> AsyncIterator[None]:
            before = self._watch(asyncio.get_running_loop())
            try:
                if lifespan is None:
                    yield
                else:
                    async with lifespan(app):
                        yield
            finally:
                if before is not None:
                    signal.signal(TERMINATE, before)

        return watched

    def _watch(self, loop: asyncio.AbstractEventLoop) -> Any:
        """Come before the server's own handler, where there is one; the handler that stood there."""
        if threading.current_thread() is not threading.main_thread():
            return None  # signals are not ours there
        servers = signal.getsignal(TERMINATE)
        if not callable(servers):
            return None  # no server drains here

        def end(number: int, frame: Any) -> None:
            if self.draining:
                servers(number, frame)
                return
            self.draining = True
            loop.call_soon_threadsafe(lambda: loop.call_later(self._seconds, servers, number, frame))

        signal.signal(TERMINATE, end)
        return servers

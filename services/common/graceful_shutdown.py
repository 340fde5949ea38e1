"""Graceful shutdown: SIGTERM turns readiness off; `drain_s` later the socket closes, and requests in progress end."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI

from services.common.problems import NotReady

State = Mapping[str, Any] | None  # that the server gives to its connections and to each request
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[State]]
TERMINATE: Final = signal.SIGTERM


class GracefulShutdown:
    """Delays SIGTERM for the server by `seconds`; `/readyz` answers 503 meanwhile."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.draining = False

    def check(self) -> None:
        """Raise NotReady after the signal."""
        if self.draining:
            raise NotReady("the service is shutting down; send requests to another replica", cause="ending")

    def wrap_lifespan(self, lifespan: Lifespan | None) -> Lifespan:
        """The application's lifespan, with the signal handler installed in it."""

        @asynccontextmanager
        async def with_handler(app: FastAPI) -> AsyncIterator[State]:
            server_handler = self._install(asyncio.get_running_loop())
            try:
                if lifespan is None:
                    yield None
                else:
                    async with lifespan(app) as state:
                        yield state
            finally:
                if server_handler is not None:
                    signal.signal(TERMINATE, server_handler)

        return with_handler

    def _install(self, loop: asyncio.AbstractEventLoop) -> Any:
        """Replace the server's signal handler, if there is one, and return it."""
        if threading.current_thread() is not threading.main_thread():
            return None  # only the main thread may set handlers
        server_handler = signal.getsignal(TERMINATE)
        if not callable(server_handler):
            return None  # no server handles the signal

        def drain(number: int, frame: Any) -> None:
            if self.draining:
                server_handler(number, frame)
                return
            self.draining = True
            loop.call_soon_threadsafe(lambda: loop.call_later(self._seconds, server_handler, number, frame))

        signal.signal(TERMINATE, drain)
        return server_handler

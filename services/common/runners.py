"""How requests get to a stage's models: whose turn it is, how much may wait, and what is no longer wanted."""

import asyncio
import math
import time
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread
from fastapi import Request

from services.common.problems import BadRequest, ClientClosedRequest, Overloaded, Problem
from services.common.settings import ThreadedSettings
from services.common.tensors import TIMEOUT_PARAMETER, Message

T = TypeVar("T")


class DeadlineExceeded(Problem):
    status = 504
    code = "too_late"
    title = "The caller's time was over before the work was begun"


class InferenceModel(Protocol):
    """What answers a request in a worker thread."""

    def infer(self, message: Message) -> Message: ...


class Runner(Protocol):
    """Brings requests to models."""

    def reserve(self, body_bytes: int) -> AbstractContextManager[None]:
        """A place for a request of that size before it is read, held until it is answered; else Overloaded."""
        ...

    async def run(self, model: Any, message: Message) -> tuple[Message, float]:
        """The answer and the milliseconds of work in it; DeadlineExceeded where its time is over before its turn."""
        ...


class ThreadRunner:
    """Each request by itself in a worker thread; a bounded number of requests waits."""

    def __init__(self, settings: ThreadedSettings) -> None:
        self._limiter = anyio.CapacityLimiter(settings.threads)
        self._most = settings.threads + settings.max_waiting
        self._held = 0

    @contextmanager
    def reserve(self, body_bytes: int) -> Iterator[None]:  # noqa: ARG002 - requests are counted here, not bytes
        """Count the request in until it is answered."""
        if self._held >= self._most:
            raise Overloaded("more requests are waiting than this stage holds")
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    async def run(self, model: InferenceModel, message: Message) -> tuple[Message, float]:
        """Let the model answer in a thread when there is one."""
        return await anyio.to_thread.run_sync(_timed, model, message, deadline_of(message), limiter=self._limiter)


def deadline_of(message: Message) -> float:
    """When the caller stops waiting, by `time.monotonic`; infinity where it does not say.

    Raises
    ------
    BadRequest
        the parameter is no number
    """
    timeout = message.parameters.get(TIMEOUT_PARAMETER)
    if timeout is None:
        return math.inf
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise BadRequest("the parameter 'timeout' is a number of microseconds")
    return time.monotonic() + timeout / 1e6


async def cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives; where the caller breaks the connection off before, it is cancelled.

    The request's body must have been read.

    Raises
    ------
    ClientClosedRequest
        nobody waits for an answer any more
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientClosedRequest("nobody waits for the answer")
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _timed(model: InferenceModel, message: Message, deadline: float) -> tuple[Message, float]:
    if time.monotonic() > deadline:
        raise DeadlineExceeded("the request waited longer than its caller does")
    begin = time.perf_counter()
    answer = model.infer(message)
    return answer, (time.perf_counter() - begin) * 1e3

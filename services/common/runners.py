"""Runners bring requests to a stage's models: limits, deadlines and worker threads."""

import asyncio
import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import anyio
import anyio.to_thread

from services.common.deadline import Deadline, deadline_in_context
from services.common.problems import BadRequest, Overloaded
from services.common.settings import ThreadedSettings
from services.common.tensors import TIMEOUT_PARAMETER, Message


class InferenceModel(Protocol):
    """A model that answers requests in a worker thread. Long work follows `current_deadline()`."""

    def infer(self, message: Message) -> Message: ...


class Runner(Protocol):
    """Brings requests to models."""

    def reserve(self, body_bytes: int) -> AbstractContextManager[None]:
        """Reserve room for a request of this size, from before it is read until it is answered, or raise Overloaded."""
        ...

    async def run(self, model: Any, message: Message) -> tuple[Message, float]:
        """The response and its milliseconds of work.

        Raises
        ------
        DeadlineExceeded
            the request's time-out passed before the work began, or before it ended
        """
        ...


class ThreadRunner:
    """Runs each request in a worker thread; a bounded number of requests waits."""

    def __init__(self, settings: ThreadedSettings) -> None:
        self._limiter = anyio.CapacityLimiter(settings.threads)
        self._max_held = settings.threads + settings.max_waiting
        self._held = 0

    @contextmanager
    def reserve(self, body_bytes: int) -> Iterator[None]:  # noqa: ARG002 - counts requests, not bytes
        """Count the request until it is answered."""
        if self._held >= self._max_held:
            raise Overloaded(f"this stage holds {self._max_held} requests at a time")
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    async def run(self, model: InferenceModel, message: Message) -> tuple[Message, float]:
        """Run the model in the next free thread. A cancelled request ends when its thread has noticed."""
        deadline = Deadline(deadline_of(message))
        with deadline_in_context(deadline):
            work = asyncio.ensure_future(
                anyio.to_thread.run_sync(_timed, model, message, deadline, limiter=self._limiter)
            )
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            deadline.cancel()
            (ended,) = await asyncio.gather(work, return_exceptions=True)
            if isinstance(ended, BaseException):
                ended.__traceback__ = None  # its frames and `work` form a cycle, which keeps the message
            raise


def deadline_of(message: Message) -> float:
    """The end of the request's time-out, by `time.monotonic`; infinity without one.

    Raises
    ------
    BadRequest
        the parameter is no number
    """
    timeout = message.parameters.get(TIMEOUT_PARAMETER)
    if timeout is None:
        return math.inf
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise BadRequest(f"the parameter {TIMEOUT_PARAMETER!r} must be a number of microseconds")
    return time.monotonic() + timeout / 1e6


def _timed(model: InferenceModel, message: Message, deadline: Deadline) -> tuple[Message, float]:
    deadline.check()
    start = time.perf_counter()
    answer = model.infer(message)
    return answer, (time.perf_counter() - start) * 1e3

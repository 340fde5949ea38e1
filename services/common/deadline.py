"""The end of a request's work in threads: its time-out has passed, or its client has gone."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Final

from services.common.problems import ClientClosedRequest, Problem


class DeadlineExceeded(Problem):
    status = 504
    code = "too_late"
    title = "The request's time-out passed before its work ended"


class Deadline:
    """Work checks it between its steps, and registers an action that ends a long step at once.

    at : by `time.monotonic`
    """

    def __init__(self, at: float = math.inf) -> None:
        self.at = at
        self._cancelled = False
        self._lock = Lock()
        self._actions: list[Callable[[], object]] = []

    @property
    def remaining_s(self) -> float:
        """Seconds until the time-out; 0 after it, or where the client has gone."""
        return 0.0 if self._cancelled else max(self.at - time.monotonic(), 0.0)

    def check(self) -> None:
        """Raise where the work must end.

        Raises
        ------
        ClientClosedRequest
            the client has gone
        DeadlineExceeded
            the time-out has passed
        """
        if self._cancelled:
            raise ClientClosedRequest("the client closed the connection before the response")
        if time.monotonic() > self.at:
            raise DeadlineExceeded("the request's time-out passed before its work ended; send fewer slices at a time")

    def cancel(self) -> None:
        """End the work: the client has gone. Steps in progress are ended at once."""
        with self._lock:
            self._cancelled = True
            actions = list(self._actions)
        for action in actions:
            action()

    @contextmanager
    def ending(self, action: Callable[[], object]) -> Iterator[None]:
        """Call `action` if the work is cancelled before the context ends."""
        with self._lock:
            self._actions.append(action)
            cancelled = self._cancelled
        try:
            if cancelled:
                action()
            yield
        finally:
            with self._lock:
                self._actions.remove(action)


_NEVER: Final = Deadline()
_current: ContextVar[Deadline] = ContextVar("deadline", default=_NEVER)


def current_deadline() -> Deadline:
    """The deadline of the request in whose context this runs; one that never ends outside of requests."""
    return _current.get()


@contextmanager
def deadline_in_context(deadline: Deadline) -> Iterator[None]:
    """Make it the current deadline, also of threads that copy this context."""
    token = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(token)

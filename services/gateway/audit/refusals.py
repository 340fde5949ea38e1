"""Bounds the lines of refused keys, so that guesses cannot fill the disk or drive older lines out of it."""

import threading
import time
from collections.abc import Callable
from typing import Final

from services.gateway.audit.events import KEY_REFUSED, Event, system_event

LINES_PER_PERIOD: Final = 600
PERIOD_S: Final = 60.0


class RefusalLimit:
    """Admits a number of lines of refused keys in each period; one line counts the others.

    Parameters
    ----------
    clock : seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._ends, self._admitted, self._left_out = 0.0, 0, 0

    def admits(self, event: Event) -> bool:
        """Whether an event gets a line of its own."""
        if event.get("action") != KEY_REFUSED:
            return True
        with self._lock:
            now = self._clock()
            if now >= self._ends:
                self._ends, self._admitted = now + PERIOD_S, 0
            if self._admitted < LINES_PER_PERIOD:
                self._admitted += 1
                return True
            self._left_out += 1
            return False

    def summary(self, *, final: bool = False) -> list[Event]:
        """The line for the events that got none, once their period is over; `final` does not wait for it."""
        with self._lock:
            if not self._left_out or not (final or self._clock() >= self._ends):
                return []
            left_out, self._left_out = self._left_out, 0
        return [system_event(KEY_REFUSED, left_out=left_out)]

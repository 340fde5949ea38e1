"""Whether the registry can be written: a part of the node's readiness."""

import sqlite3
import time
from collections.abc import Callable
from typing import Final

from services.common.problems import NotReady

PERIOD_S: Final = 5.0


class RegistryCheck:
    """Writes to the registry at most once a period, however often probes come. A failure is tried again at once."""

    def __init__(self, write: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._next_s = clock()

    def __call__(self) -> None:
        """Raise NotReady where it cannot be written."""
        if (now_s := self._clock()) < self._next_s:
            return
        try:
            self._write()
        except sqlite3.Error as error:
            detail = "the registry cannot be written; check the disk of ICH_NODE_DATA_DIR"
            raise NotReady(detail, cause="registry") from error
        self._next_s = now_s + PERIOD_S

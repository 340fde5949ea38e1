"""How much the gateway works on at once, in slices: what it takes in at all, and what is between two stages."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import ceil
from typing import Final

from services.common.problems import Overloaded

_KEPT: Final = 0.8  # of the measured time a slice, at each assessment
_LONGEST_RETRY_S: Final = 60


class Admission:
    """Slices of all assessments in hand; more than `most` are refused, so that who is let in waits a bounded time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._seconds_a_slice = 0.0

    def check(self, slices: int) -> None:
        """Refuse an upload before it is received, where it holds at least so many slices.

        Raises
        ------
        Overloaded
            there is no room for them beside those in hand
        """
        if self._held and self._held + slices > self._most:
            raise self._overloaded()

    @contextmanager
    def of(self, slices: int) -> Iterator[None]:
        """Let slices in until they are assessed. A series that is alone is always taken, however long it is.

        Raises
        ------
        Overloaded
            there is no room for them beside those in hand
        """
        self.check(slices)
        self._held += slices
        held, begin = self._held, time.monotonic()
        try:
            yield
            # All that was in hand when this came was worked on in this time.
            seconds = (time.monotonic() - begin) / held
            self._seconds_a_slice = _KEPT * (self._seconds_a_slice or seconds) + (1 - _KEPT) * seconds
        finally:
            self._held -= slices

    def _overloaded(self) -> Overloaded:
        seconds = min(max(ceil(self._held * self._seconds_a_slice), 1), _LONGEST_RETRY_S)
        return Overloaded("the gateway works on as many slices as it takes; send it again later", retry_after_s=seconds)


class Slots:
    """Places for slices, taken in the order in which they are asked for: no large chunk waits for ever."""

    def __init__(self, count: int) -> None:
        self._count = self._free = count
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def of(self, slices: int) -> AsyncIterator[None]:
        """So many places, or all of them where there are fewer."""
        wanted = min(slices, self._count)
        await self._take(wanted)
        try:
            yield
        finally:
            self._free += wanted
            self._hand_out()

    async def _take(self, wanted: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, turn))
        self._hand_out()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # handed out in the moment of the cancellation
                self._free += wanted
            self._hand_out()
            raise

    def _hand_out(self) -> None:
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.cancelled():
                if wanted > self._free:
                    return
                self._free -= wanted
                turn.set_result(None)
            self._waiting.popleft()

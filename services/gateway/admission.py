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
_SLOW_UPLOAD_S: Final = 10.0


class Reservation:
    """The room that one assessment takes: first what its upload announces, then what it turns out to hold."""

    def __init__(self, admission: "Admission", announced: int) -> None:
        self._admission = admission
        self._slices = announced
        self._lapses_at = time.monotonic() + _SLOW_UPLOAD_S
        self._begin: float | None = None  # when the work began, and beside how many slices in hand
        self._beside = 0

    @property
    def slices(self) -> int:
        """How many count now; none of an upload that is slow, so that slow lines keep nobody out."""
        return 0 if self._begin is None and time.monotonic() > self._lapses_at else self._slices

    def update(self, slices: int) -> None:
        """Hold this many slices from now on, instead of the announced number.

        Raises
        ------
        Overloaded
            there is no room for them beside those of others
        """
        self._admission.check(slices, beside=self)
        self._slices, self._begin = slices, time.monotonic()
        self._beside = self._admission.reserved

    def seconds_a_slice(self) -> float | None:
        """All that was in hand when this was taken was worked on in this time; None where nothing was taken."""
        return (time.monotonic() - self._begin) / self._beside if self._begin is not None else None


class Admission:
    """Slices of all assessments in hand and on their way; more than `most` are refused.

    So who is let in waits a bounded time. A series that is alone is always taken, however long it is.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._reservations: set[Reservation] = set()
        self._seconds_a_slice = 0.0

    @property
    def reserved(self) -> int:
        """Slices in hand and on their way."""
        return sum(reservation.slices for reservation in self._reservations)

    @contextmanager
    def reserve(self, announced: int = 0) -> Iterator[Reservation]:
        """Room for one assessment, until it is done.

        Raises
        ------
        Overloaded
            there is none for as many slices as are announced
        """
        self.check(announced)
        reservation = Reservation(self, announced)
        self._reservations.add(reservation)
        try:
            yield reservation
            if seconds := reservation.seconds_a_slice():
                self._seconds_a_slice = _KEPT * (self._seconds_a_slice or seconds) + (1 - _KEPT) * seconds
        finally:
            self._reservations.remove(reservation)

    def check(self, slices: int, *, beside: Reservation | None = None) -> None:
        """Overloaded where there is no room for so many slices, beside those that a reservation holds already."""
        others = self.reserved - (beside.slices if beside else 0)
        if others and others + slices > self._most:
            seconds = min(max(ceil(others * self._seconds_a_slice), 1), _LONGEST_RETRY_S)
            raise Overloaded(
                "the gateway works on as many slices as it takes; send it again later", retry_after_s=seconds
            )


class Limiter:
    """Places for slices, taken in the order in which they are asked for: no large chunk waits for ever."""

    def __init__(self, count: int) -> None:
        self._count = self._free = count
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def acquire(self, slices: int) -> AsyncIterator[None]:
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

"""Admission control in slices: how many the gateway accepts at all, and how many it processes at the same time."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import ceil
from typing import Final

from services.common.problems import Overloaded

_SMOOTHING: Final = 0.8  # weight of the earlier mean in the moving average of seconds per slice
_MAX_RETRY_AFTER_S: Final = 60
_SLOW_UPLOAD_S: Final = 10.0


class Reservation:
    """The slices of one assessment: first as its upload announces them, then their true number."""

    def __init__(self, admission: "Admission", announced: int) -> None:
        self._admission = admission
        self._slices = announced
        self._expires_at = time.monotonic() + _SLOW_UPLOAD_S
        self._started_at: float | None = None
        self._reserved_at_start = 0

    @property
    def slices(self) -> int:
        """The slices that count now: none while an upload is slow, so that slow connections block nobody."""
        return 0 if self._started_at is None and time.monotonic() > self._expires_at else self._slices

    def update(self, slices: int) -> None:
        """Start the work, with this number of slices instead of the announced one.

        Raises
        ------
        Overloaded
            there is no room for them beside the other reservations
        """
        self._admission.check(slices, own=self)
        self._slices, self._started_at = slices, time.monotonic()
        self._reserved_at_start = self._admission.reserved

    def seconds_per_slice(self) -> float | None:
        """Time since the start, divided by all slices reserved then; None where the work never started."""
        if self._started_at is None:
            return None
        return (time.monotonic() - self._started_at) / self._reserved_at_start


class Admission:
    """Limits the slices of all assessments in progress, so that an accepted request waits a bounded time.

    A series that is alone is always accepted, however long.
    """

    def __init__(self, max_slices: int) -> None:
        self._max_slices = max_slices
        self._reservations: set[Reservation] = set()
        self._seconds_per_slice = 0.0

    @property
    def reserved(self) -> int:
        """The slices of all reservations."""
        return sum(reservation.slices for reservation in self._reservations)

    @contextmanager
    def reserve(self, announced: int = 0) -> Iterator[Reservation]:
        """Reserve slices for one assessment, until the context ends.

        Raises
        ------
        Overloaded
            there is no room for the announced slices
        """
        self.check(announced)
        reservation = Reservation(self, announced)
        self._reservations.add(reservation)
        try:
            yield reservation
            if seconds := reservation.seconds_per_slice():
                earlier = self._seconds_per_slice or seconds
                self._seconds_per_slice = _SMOOTHING * earlier + (1 - _SMOOTHING) * seconds
        finally:
            self._reservations.remove(reservation)

    def check(self, slices: int, *, own: Reservation | None = None) -> None:
        """Overloaded where there is no room for so many slices beside all reservations but `own`."""
        others = self.reserved - (own.slices if own else 0)
        if others and others + slices > self._max_slices:
            seconds = min(max(ceil(others * self._seconds_per_slice), 1), _MAX_RETRY_AFTER_S)
            raise Overloaded(
                "the gateway processes as many slices as it accepts; send the request again later",
                retry_after_s=seconds,
            )


class Limiter:
    """Limits the slices in preprocess and cnn. First come, first served, so that a large chunk does not starve."""

    def __init__(self, slices: int) -> None:
        self._slices = self._free = slices
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def acquire(self, slices: int) -> AsyncIterator[None]:
        """Hold so many slices of the limit, or all of them where the limit is lower."""
        wanted = min(slices, self._slices)
        await self._wait(wanted)
        try:
            yield
        finally:
            self._free += wanted
            self._wake_waiters()

    async def _wait(self, wanted: int) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append((wanted, waiter))
        self._wake_waiters()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # acquired in the moment of the cancellation
                self._free += wanted
            self._wake_waiters()
            raise

    def _wake_waiters(self) -> None:
        while self._waiters:
            wanted, waiter = self._waiters[0]
            if not waiter.cancelled():
                if wanted > self._free:
                    return
                self._free -= wanted
                waiter.set_result(None)
            self._waiters.popleft()

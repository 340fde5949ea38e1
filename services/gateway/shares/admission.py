"""Admission control in slices: how many the gateway accepts of each client, and in all."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Final

from services.common.clients import LOCAL, Client
from services.common.problems import Overloaded
from services.gateway.shares.fair_shares import within_share

_SMOOTHING: Final = 0.8  # weight of the earlier mean in the moving average of seconds per slice
_MAX_RETRY_AFTER_S: Final = 60
_FIRST_FRACTION: Final = 16  # a client's first request counts at most this fraction of the free slices
_LARGE_SLICE_BYTES: Final = 600_000  # 512 x 512 of 16 bits, with a long header


class Reservation:
    """The slices of one assessment: first those received so far, by their bytes, then their true number.

    The first request of a client is accepted whatever its length, and counts a small part of the free slices, so that
    every client gets an answer while others hold their shares.
    """

    def __init__(self, admission: "Admission", client: Client, *, first: bool) -> None:
        self._admission = admission
        self.client = client
        self.first = first
        self.slices = self.counted = 0
        self._started_at: float | None = None
        self._reserved_at_start = 0

    def received(self, count: int) -> None:
        """Hold the slices that so many bytes of the upload are at least.

        Raises
        ------
        Overloaded
            the client's share has no room for them
        """
        if (slices := min_slices(count)) > self.slices:
            self._admission.change(self, slices)

    def update(self, slices: int) -> None:
        """Start the work, with this number of slices.

        Raises
        ------
        Overloaded
            the client's share has no room for them
        """
        self._admission.change(self, slices)
        self._started_at = time.monotonic()
        self._reserved_at_start = self._admission.reserved

    def seconds_per_slice(self) -> float | None:
        """Time since the start, divided by all slices reserved then; None where the work never started."""
        if self._started_at is None:
            return None
        return (time.monotonic() - self._started_at) / self._reserved_at_start


class Admission:
    """Limits the slices of all assessments in progress, so that an accepted request waits a bounded time.

    A client's only request is always accepted, however long. Its further requests must fit its share.
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
    def reserve(self, client: Client = LOCAL, announced_bytes: int = 0) -> Iterator[Reservation]:
        """Reserve one slice for an assessment, then those that its upload brings, until the context ends.

        The announced bytes are only checked: a client that announces much and sends nothing holds one slice.

        Raises
        ------
        Overloaded
            the client's share has no room for the announced slices
        """
        reservation = Reservation(self, client, first=not self._of(client))
        self._check(reservation, min_slices(announced_bytes))
        self._reservations.add(reservation)
        try:
            self.change(reservation, 1)
            yield reservation
            if seconds := reservation.seconds_per_slice():
                earlier = self._seconds_per_slice or seconds
                self._seconds_per_slice = _SMOOTHING * earlier + (1 - _SMOOTHING) * seconds
        finally:
            self._reservations.remove(reservation)

    def change(self, reservation: Reservation, slices: int) -> None:
        """Change the slices of a reservation; Overloaded where the client's share has no room for them."""
        reservation.counted = self._check(reservation, slices)
        reservation.slices = slices

    def _check(self, reservation: Reservation, slices: int) -> int:
        """The slices to count for a reservation."""
        others = sum(other.counted for other in self._reservations if other is not reservation)
        own = sum(other.slices for other in self._of(reservation.client) if other is not reservation)
        free = self._max_slices - others
        counted = min(slices, free // _FIRST_FRACTION + 1) if reservation.first else slices
        fits = free > 0 if reservation.first else within_share(own + slices, free - slices)
        if slices > reservation.slices and not fits:
            raise self._overloaded(own)
        return counted

    def _of(self, client: Client) -> list[Reservation]:
        return [reservation for reservation in self._reservations if reservation.client.share == client.share]

    def _overloaded(self, own: int) -> Overloaded:
        seconds = min(max(ceil(self.reserved * self._seconds_per_slice), 1), _MAX_RETRY_AFTER_S)
        return Overloaded(
            f"this client's share has no room: its other requests in progress have {own} slices, of at most "
            f"{self._max_slices} of all clients; send the request again later",
            retry_after_s=seconds,
        )


def min_slices(count: int) -> int:
    """The least number of slices in an upload of so many bytes; compressed slices are more."""
    return max(count // _LARGE_SLICE_BYTES, 1)

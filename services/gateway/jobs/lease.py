"""The lease of the work that one gateway does for all: sweeps, reconciliation, webhooks. `membership.py` grants it."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Lease(Protocol):
    """The lease of one gateway."""

    def term(self) -> int | None:
        """A number that differs each time this gateway takes the lease; None while another one may hold it."""


class SoleGateway:
    """The lease of a gateway that shares its storage with no other."""

    def term(self) -> int | None:
        """Always held."""
        return 0


class LeaseLost(Exception):
    """Another gateway may hold the lease from now on."""


class LeaseCheck:
    """Raises LeaseLost once the term of the lease has ended that began before it."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._term = lease.term()

    def check(self) -> None:
        """LeaseLost, unless the term still runs."""
        if self._term is None or self._lease.term() != self._term:
            raise LeaseLost

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """The items; each only while the term runs."""
        for item in items:
            self.check()
            yield item

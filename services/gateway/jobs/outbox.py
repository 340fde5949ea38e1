"""Webhooks that are not delivered yet.

hooks/<sender>/<job>    in the storage: the address of a pending delivery
"""

from dataclasses import dataclass
from typing import Final

from services.gateway.jobs.storage import Storage

_FOLDER: Final = "hooks"


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """The webhook of a job, not yet delivered."""

    sender: str
    job_id: str

    @property
    def key(self) -> str:
        """Its key in the storage."""
        return f"{_FOLDER}/{self.sender}/{self.job_id}"


class Outbox:
    """Pending deliveries in the storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add(self, sender: str, job_id: str, address: str) -> None:
        """Store the address of a job's webhook; OSError where the storage is full."""
        self._storage.create(PendingDelivery(sender, job_id).key, address.encode())

    def remove(self, delivery: PendingDelivery) -> None:
        """Forget a delivery that is done, or given up."""
        self._storage.remove(delivery.key)

    def address(self, delivery: PendingDelivery) -> str:
        """The address; FileNotFoundError where another gateway has delivered it."""
        return self._storage.get(delivery.key).decode()

    def senders(self) -> list[str]:
        """Senders that have pending deliveries, or had some."""
        return self._storage.names(_FOLDER)

    def of_sender(self, sender: str) -> list[PendingDelivery]:
        """A sender's pending deliveries, oldest job first."""
        return [PendingDelivery(sender, job_id) for job_id in self._storage.names(f"{_FOLDER}/{sender}")]

"""The seam between the loop of a destination and the protocols."""

from collections.abc import Sequence
from typing import Protocol

from services.dicom_node.registry.delivery import Delivery


class Transport(Protocol):
    """Sends objects of one assessment to one destination, and has sent ones confirmed; all in the worker's thread.

    Outcomes are recorded in the destination's queue as they come.
    """

    def deliver(self, batch: Sequence[Delivery]) -> None:
        """Send these objects; PeerUnavailable where the destination cannot be reached or takes nothing now."""

    def confirm(self, batch: Sequence[Delivery]) -> None:
        """Ask for sent objects; PeerUnavailable as above."""

    def stop(self) -> None:
        """Begin nothing more, from another thread."""

    def abort(self) -> None:
        """End what is in progress, from another thread."""

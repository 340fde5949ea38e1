"""One association with a sender: what it stores is one transfer, which ends with it."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pydicom import Dataset
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider

from services.dicom_node.inbox import Inbox, Transfer
from services.dicom_node.receive.incoming_file import IncomingFile
from services.dicom_node.receive.spooled_messages import SpooledDataset, SpooledMessages
from services.dicom_node.receive.store_file import Outcome, store_file
from services.dicom_node.receive.unreadable import UnreadableInstance

log = logging.getLogger(__name__)
MODE_ACCEPTOR: Final = "acceptor"

_MAX_COMMENT: Final = 64  # characters of LO


class QuietUpperLayer(DULServiceProvider):
    """The upper layer of an association. It may meet an event that its state forbids, as where a peer aborts meanwhile.

    pynetdicom lets the thread fail then; the association notices its end.
    """

    def run_reactor(self) -> None:
        """Run until the connection ends."""
        try:
            super().run_reactor()
        except Exception as error:  # noqa: BLE001 - boundary: the thread has no caller
            log.warning("connection closed: its upper layer failed (%s)", type(error).__name__)


class NodeAssociation(Association):
    """An association that the node accepts.

    Parameters
    ----------
    address : of the sender
    on_end : called once, when its threads have ended

    Attributes
    ----------
    counted : whether it takes part in the limit of associations
    """

    def __init__(
        self,
        ae: ApplicationEntity,
        address: str,
        inbox: Inbox,
        max_instance_bytes: int,
        on_end: Callable[["NodeAssociation"], None],
    ) -> None:
        super().__init__(ae, MODE_ACCEPTOR)
        self.dul = QuietUpperLayer(self)
        self.dul.daemon = True
        self.acse_timeout, self.network_timeout = ae.acse_timeout, ae.network_timeout  # set the timers of `dul`
        self.dimse: SpooledMessages = SpooledMessages(self, lambda: IncomingFile(inbox, max_instance_bytes))
        self.address, self.counted = address, False
        self._inbox, self._on_end = inbox, on_end
        self._transfer: Transfer | None = None

    @property
    def peer(self) -> str:
        """The calling AE title."""
        return self.ae_titles()[1]

    def ae_titles(self) -> tuple[str, str]:
        """The called and the calling AE title of the request."""
        requested = self.requestor.primitive
        titles = (requested.called_ae_title, requested.calling_ae_title) if requested else ("", "")
        return str(titles[0]).strip(), str(titles[1]).strip()

    def run_reactor(self) -> None:
        """Serve until the end; then end the transfer. Nothing but a release completes it."""
        try:
            super().run_reactor()
        finally:
            try:
                self._end()
            finally:
                self._on_end(self)

    def stop(self, wait_s: float) -> None:
        """Abort an established association; close the connection of another one, which has no transfer."""
        if self.is_established:
            self.abort()
            self.join(wait_s)
        elif self.dul.socket:
            self.dul.socket.close()

    def store(self, request: Any) -> Outcome:
        """Store the instance of a C-STORE request."""
        spooled: SpooledDataset | None = request._dataset_file  # noqa: SLF001 - pynetdicom shows its path only
        if self._transfer is None:
            self._transfer = self._inbox.begin_transfer("c-store", self.peer)
        outcome = store_file(self._inbox, self._transfer, lambda: _complete(spooled))
        if outcome.comment:
            log.warning("an instance of %s is not stored: %s", self.peer, outcome.comment)
        return outcome

    def _end(self) -> None:
        self.dimse.close()
        if self._transfer:
            self._inbox.end_transfer(self._transfer, "released" if self.is_released else "aborted")


def _complete(spooled: SpooledDataset | None) -> Path:
    if spooled is None:  # a request without a data set
        raise UnreadableInstance("not_dicom")
    return spooled.complete().path


def status_dataset(outcome: Outcome) -> Dataset:
    """The status of the response (PS3.7 9.1.1.1.9)."""
    status = Dataset()
    status.Status = outcome.status
    if outcome.comment:
        status.ErrorComment = outcome.comment[:_MAX_COMMENT]
    return status

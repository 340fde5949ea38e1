"""One association with a sender: what it stores is one transfer, which ends with it."""

import logging
from collections.abc import Callable
from typing import Any, Final

from pydicom import Dataset
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from services.dicom_node.inbox import Added, Inbox, OutOfSpace, Transfer
from services.dicom_node.receive.accept_file import accept_file
from services.dicom_node.receive.incoming_file import IncomingFile
from services.dicom_node.receive.spooled_messages import SpooledDataset, SpooledMessages
from services.dicom_node.receive.unreadable import UnreadableInstance

log = logging.getLogger(__name__)
MODE_ACCEPTOR: Final = "acceptor"

SUCCESS: Final = 0x0000
# Statuses of failures (PS3.4 B.2.3, PS3.7 C.4 and C.5).
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE_INSTANCE: Final = 0x0111
OUT_OF_RESOURCES: Final = 0xA700
NO_MATCH: Final = 0xA900  # the data set does not match the SOP class
CANNOT_UNDERSTAND: Final = 0xC000
_NO_MATCH_CODES: Final = ("meta_differs", "unsupported_sop_class", "no_pixel_data")
_MAX_COMMENT: Final = 64  # characters of LO
_CONFLICT: Final = "another instance with this UID was received, and is kept"
_NOT_STORED: Final = "the instance could not be written; see the node's log"


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

    def store(self, request: Any) -> tuple[str, Dataset]:
        """Store the instance of a C-STORE request; what became of it, for metrics, and the response's status."""
        try:
            accepted = self._accept(request)
        except OutOfSpace as error:
            log.warning("an instance of %s is not stored: %s", self.peer, error)
            return "out_of_space", _status(OUT_OF_RESOURCES, str(error))
        except UnreadableInstance as error:
            status = NO_MATCH if error.code in _NO_MATCH_CODES else CANNOT_UNDERSTAND
            log.warning("an instance of %s is refused: %s", self.peer, error.detail)
            return error.code, _status(status, error.detail)
        except Exception as error:  # noqa: BLE001 - boundary: whatever fails, it is not stored
            log.error("an instance of %s is not stored: %s", self.peer, type(error).__name__)  # noqa: TRY400 - no values
            return "failed", _status(PROCESSING_FAILURE, _NOT_STORED)
        if accepted is Added.CONFLICT:
            log.warning("an instance of %s is refused: %s", self.peer, _CONFLICT)
            return "conflict", _status(DUPLICATE_INSTANCE, _CONFLICT)
        return accepted.value, _status(SUCCESS)

    def _accept(self, request: Any) -> Added:
        spooled: SpooledDataset | None = request._dataset_file  # noqa: SLF001 - pynetdicom shows its path only
        if spooled is None:
            raise UnreadableInstance("not_dicom")
        file = spooled.complete()
        if self._transfer is None:
            self._transfer = self._inbox.begin_transfer("c-store", self.peer)
        return accept_file(self._inbox, self._transfer, file.path).outcome

    def _end(self) -> None:
        self.dimse.close()
        if self._transfer:
            self._inbox.end_transfer(self._transfer, "released" if self.is_released else "aborted")


def _status(code: int, comment: str = "") -> Dataset:
    status = Dataset()
    status.Status = code
    if comment:
        status.ErrorComment = comment[:_MAX_COMMENT]
    return status

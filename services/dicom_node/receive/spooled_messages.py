"""Receives DIMSE messages within limits, and data sets of C-STORE into files instead of memory.

pynetdicom keeps a message in memory until its last fragment, however long it is, and any number of messages until
they are served. It stops an association where a limit is broken, as PS3.8 9.2 demands for an invalid PDU.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dsutils import create_file_meta, encode_file_meta
from pynetdicom.pdu_primitives import P_DATA

from services.dicom_node.inbox import OutOfSpace
from services.dicom_node.receive.incoming_file import IncomingFile
from services.dicom_node.receive.read_header import is_uid

log = logging.getLogger(__name__)
_COMMAND, _LAST = 1, 2  # bits of a fragment's control header (PS3.8 E.2)
_MAX_COMMAND_BYTES: Final = 64 * 1024
_MAX_DATASET_BYTES: Final = 4 * 1024**2  # in memory: of an event report; 10,000 instances take 1.5 MB
_MAX_DISCARDED_BYTES: Final = 256 * 1024**2  # of a data set that is refused: the sender gets its status after it
_MAX_WAITING: Final = 8  # messages that are received and not yet served; a sender waits for each response
_PREAMBLE: Final = b"\0" * 128 + b"DICM"


class BrokenLimit(Exception):
    """A peer breaks a limit or the protocol; the message quotes nothing of it."""


class SpooledDataset:
    """The data set of one C-STORE request, in the place of pynetdicom's temporary file.

    failure : why it is not stored; None while all is well. The sender gets its status after the last fragment
    """

    def __init__(self, open_file: Callable[[], IncomingFile], head: bytes) -> None:
        self.failure: Exception | None = None
        self._incoming: IncomingFile | None = None
        self._discarded = 0
        self.file = self  # pynetdicom calls `file.flush()`, and removes the file `name` when the request is served
        self.name = ""
        try:
            self._incoming = open_file()
            self.name = str(self._incoming.path)
            self._incoming.write(head)
        except Exception as error:  # noqa: BLE001 - whatever fails here fails this instance alone
            self._fail(error)

    def write(self, piece: bytes) -> None:
        """Append a fragment; BrokenLimit where a refused data set does not end."""
        if self._incoming is None:
            self._discarded += len(piece)
            if self._discarded > _MAX_DISCARDED_BYTES:
                raise BrokenLimit("a refused data set does not end")
            return
        try:
            self._incoming.write(piece)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)

    def complete(self) -> IncomingFile:
        """The whole file, on the disk.

        Raises
        ------
        Exception
            the failure, such as OutOfSpace
        """
        if self._incoming is None:
            raise self.failure or OutOfSpace("the data set was not stored")
        self._incoming.complete()
        return self._incoming

    def flush(self) -> None:
        """The file has no buffer."""

    def close(self) -> None:
        """Remove the file, unless the inbox has taken it over."""
        if self._incoming is not None:
            self._incoming.discard()

    def _fail(self, error: Exception) -> None:
        self.close()
        self.failure, self._incoming = error, None


class SpooledMessages(DIMSEServiceProvider):
    """The DIMSE messages of one association.

    Parameters
    ----------
    open_file : makes the file of a data set
    """

    def __init__(self, association: Association, open_file: Callable[[], IncomingFile]) -> None:
        super().__init__(association)
        self._open_file = open_file
        self._bytes = 0  # of the command set, or of a data set in memory
        self._spooled: SpooledDataset | None = None  # while it is received
        self._stopped = False

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take the fragments of one PDU; the association is aborted where one breaks a limit."""
        for context, fragment in primitive.presentation_data_value_list:
            if self._stopped:
                return
            try:
                self._receive(context, fragment)
            except Exception as error:  # noqa: BLE001 - boundary: messages about a malformed command may quote it
                reason = error if isinstance(error, BrokenLimit) else f"a message is malformed ({type(error).__name__})"
                log.warning("association aborted: %s", reason)
                self._stop()

    def close(self) -> None:
        """Remove the files of data sets that were not served."""
        self._stopped = True
        if self._spooled:
            self._spooled.close()
        with suppress(IndexError):
            while True:
                _, message = self.msg_queue.queue.popleft()
                if spooled := getattr(message, "_dataset_file", None):
                    spooled.close()

    def _receive(self, context: int, fragment: bytes) -> None:
        if not fragment or self.msg_queue.qsize() > _MAX_WAITING:
            raise BrokenLimit("a sender must wait for responses")
        is_command = fragment[0] & _COMMAND
        if is_command and (self.message is None or not self.message.command_set):
            self._count(len(fragment), _MAX_COMMAND_BYTES)
        elif is_command or self.message is None:
            raise BrokenLimit("a fragment is out of order")
        else:
            self._begin_dataset(context, len(fragment))
        self._hand_on(context, fragment)

    def _hand_on(self, context: int, fragment: bytes) -> None:
        """Let pynetdicom put the message together; one fragment at a time, since it drops those behind a last one."""
        single = P_DATA()
        single.presentation_data_value_list = [[context, fragment]]  # type: ignore[list-item] # it takes lists only
        super().receive_primitive(single)
        if self.message is None:
            self._spooled = None
        if fragment[0] & _LAST:
            self._bytes = 0

    def _begin_dataset(self, context: int, size: int) -> None:
        """Give the data set of C-STORE a file; that of another message stays in memory, within its limit."""
        if not isinstance(self.message, C_STORE_RQ):
            self._count(size, _MAX_DATASET_BYTES)
        elif self._spooled is None:
            self._spooled = SpooledDataset(self._open_file, self._head(self.message, context))
            self.message._data_set_file = self._spooled  # type: ignore[assignment] # noqa: SLF001 - as pynetdicom does

    def _head(self, message: C_STORE_RQ, context: int) -> bytes:
        """Preamble and file meta information (PS3.10 7.1)."""
        command = message.command_set
        uids = command.AffectedSOPClassUID, command.AffectedSOPInstanceUID
        if not all(map(is_uid, uids)):
            raise BrokenLimit("a UID of a command is malformed")
        syntax = next(each for each in self.assoc.accepted_contexts if each.context_id == context).transfer_syntax[0]
        meta = create_file_meta(sop_class_uid=uids[0], sop_instance_uid=uids[1], transfer_syntax=syntax)
        return _PREAMBLE + encode_file_meta(meta)

    def _count(self, size: int, most: int) -> None:
        self._bytes += size
        if self._bytes > most:
            raise BrokenLimit(f"a message has more than {most} bytes")

    def _stop(self) -> None:
        self._stopped = True
        self.dul.event_queue.put("Evt19")  # an invalid PDU: pynetdicom sends A-ABORT (PS3.8 9.2.3)

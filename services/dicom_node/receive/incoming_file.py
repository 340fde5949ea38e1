"""A file that is being received, with a limit on its bytes and the inbox's quota."""

import os
from errno import EDQUOT, ENOSPC
from typing import Final

from services.common.byte_sizes import format_bytes
from services.dicom_node.inbox import Inbox, OutOfSpace

_STEP_BYTES: Final = 1024**2  # the inbox is asked for space in these steps
_DISK_FULL: Final = (
    "the disk of ICH_NODE_DATA_DIR is full: free space, or set shorter times after which instances are removed"
)


class IncomingFile:
    """Writes pieces until the file is complete; after a failure the file is removed by `discard`."""

    def __init__(self, inbox: Inbox, max_bytes: int) -> None:
        """Create the file.

        Parameters
        ----------
        max_bytes : largest size of the file
        """
        self._inbox = inbox
        self._max_bytes = max_bytes
        self.size = self._reserved = 0
        self.path = inbox.new_file()
        self._file = self.path.open("xb", buffering=0)

    def write(self, piece: bytes | memoryview) -> None:
        """Append a piece.

        Raises
        ------
        OutOfSpace
            the file is larger than allowed, or the inbox or the disk is full
        """
        self.size += len(piece)
        if self.size > self._max_bytes:
            most = format_bytes(self._max_bytes)
            raise OutOfSpace(f"an instance may have {most}; raise ICH_NODE_MAX_INSTANCE_BYTES")
        if self.size > self._reserved:
            self._reserved = self.size + _STEP_BYTES
            self._inbox.reserve(self._reserved)
        try:
            self._write_all(memoryview(piece))
        except OSError as error:
            if error.errno in (ENOSPC, EDQUOT):
                raise OutOfSpace(_DISK_FULL) from None
            raise

    def complete(self) -> None:
        """Close the file, with its content on the disk."""
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        """Close and remove the file, unless the inbox has taken it over."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _write_all(self, piece: memoryview) -> None:
        while piece:
            piece = piece[self._file.write(piece) :]

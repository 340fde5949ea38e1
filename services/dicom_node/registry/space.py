"""The quota of the data folder, and the free bytes that its disk keeps."""

from dataclasses import dataclass
from threading import Lock

from services.common.byte_sizes import format_bytes
from services.dicom_node.inbox import OutOfSpace
from services.dicom_node.registry.data_folder import DataFolder
from services.dicom_node.registry.database import Database


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of the data folder: of stored instances and of assessments, its quota, and the free bytes of the disk."""

    used_bytes: int
    quota_bytes: int
    free_bytes: int


class Space:
    """Counts the bytes of received instances and of assessments.

    Receiving adds to the count at once; `count_again` reads it anew, since other processes remove files, too.

    Parameters
    ----------
    min_free_bytes
        bytes of the file system that receiving leaves free
    """

    def __init__(self, database: Database, folder: DataFolder, quota_bytes: int, min_free_bytes: int) -> None:
        self._database = database
        self._folder = folder
        self._quota_bytes = quota_bytes
        self._min_free_bytes = min_free_bytes
        self._used_bytes = 0
        self._lock = Lock()
        self.count_again()

    def add(self, size: int) -> None:
        """Count new bytes, or removed ones where `size` is negative."""
        with self._lock:
            self._used_bytes += size

    def count_again(self) -> None:
        """Read the bytes of all instances from the database, and those of assessments from the disk."""
        with self._lock, self._database.read() as connection:
            (received,) = connection.execute(
                "SELECT coalesce(sum(bytes), 0) FROM instances WHERE path IS NOT NULL"
            ).fetchone()
            self._used_bytes = received + self._folder.assessments_bytes()

    def usage(self) -> Usage:
        """The present state."""
        return Usage(self._used_bytes, self._quota_bytes, self._folder.free_bytes())

    def check(self, size: int) -> None:
        """Raise OutOfSpace where `size` more bytes do not fit."""
        now = self.usage()
        if now.used_bytes + size > now.quota_bytes:
            raise OutOfSpace(
                f"the quota of {format_bytes(now.quota_bytes)} is used up: raise ICH_NODE_QUOTA_BYTES, "
                "or shorten ICH_NODE_RECEIVED_KEEP_S"
            )
        if now.free_bytes - size < self._min_free_bytes:
            raise OutOfSpace(
                f"the disk of ICH_NODE_DATA_DIR has {format_bytes(now.free_bytes)} left, and receiving leaves "
                f"{format_bytes(self._min_free_bytes)} free: free space, or lower ICH_NODE_MIN_FREE_BYTES"
            )

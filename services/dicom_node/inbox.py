"""The seam between receivers (C-STORE, STOW-RS, pull) and the registry."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal, Protocol

from services.dicom_node.instance_header import InstanceHeader

TransferKind = Literal["c-store", "stow-rs", "pull"]
TransferOutcome = Literal["released", "aborted"]


class Added(Enum):
    """What became of a received instance."""

    STORED = "stored"
    SAME = "same"  # the same bytes were received before
    CONFLICT = "conflict"  # other bytes with this SOPInstanceUID were received before; the first are kept


@dataclass(frozen=True, slots=True)
class Transfer:
    """One association, one STOW-RS request, or one pull.

    peer : name or AE title of the sender, for messages and metrics; never patient data
    """

    id: int
    kind: TransferKind
    peer: str


class OutOfSpace(Exception):
    """The quota or the disk is full: C-STORE answers 0xA700, STOW-RS 507. The message names limit and remedy."""


class Inbox(Protocol):
    """Takes received instances. All methods may be called from any thread, and are durable when they return."""

    def begin_transfer(self, kind: TransferKind, peer: str) -> Transfer:
        """Note an open transfer: series that it adds to are not complete before it ends."""

    def end_transfer(self, transfer: Transfer, outcome: TransferOutcome) -> None:
        """Note its end. A process that restarts ends all open transfers as aborted."""

    def reserve(self, size: int) -> None:
        """Check that `size` more bytes fit; OutOfSpace where they don't."""

    def new_file(self) -> Path:
        """A path on the same file system as the store, for a file that is being received."""

    def add(self, transfer: Transfer, header: InstanceHeader, file: Path, digest: bytes) -> Added:
        """Take over a complete file in Part 10 format, which is moved into the store or removed.

        Parameters
        ----------
        digest : SHA-256 of the dataset as received, without preamble and file meta information, which vary by sender
        """

    def expect(self, study_instance_uid: str, series_instance_uid: str, instances: int) -> None:
        """Note how many instances the series has at its PACS, by NumberOfSeriesRelatedInstances (0020,1209)."""

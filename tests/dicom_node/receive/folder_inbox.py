"""An inbox in a folder and in memory, at the Protocol of the node."""

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Lock

from services.dicom_node.inbox import Added, OutOfSpace, Transfer, TransferKind, TransferOutcome
from services.dicom_node.instance_header import InstanceHeader


@dataclass
class Stored:
    """A file of the inbox."""

    transfer: Transfer
    header: InstanceHeader
    path: Path
    digest: bytes


@dataclass
class FolderInbox:
    """Keeps files in a folder; `outcomes` are those of transfers, None while one is open."""

    folder: Path
    max_bytes: int = 1 << 40
    stored: dict[str, Stored] = field(default_factory=dict)
    outcomes: dict[int, TransferOutcome | None] = field(default_factory=dict)
    transfers: list[Transfer] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)
    _lock: Lock = field(default_factory=Lock)

    def begin_transfer(self, kind: TransferKind, peer: str) -> Transfer:
        with self._lock:
            transfer = Transfer(next(self._numbers), kind, peer)
            self.transfers.append(transfer)
            self.outcomes[transfer.id] = None
            return transfer

    def end_transfer(self, transfer: Transfer, outcome: TransferOutcome) -> None:
        assert self.outcomes[transfer.id] is None
        self.outcomes[transfer.id] = outcome

    def reserve(self, size: int) -> None:
        with self._lock:
            used = sum(each.path.stat().st_size for each in self.stored.values())
        if used + size > self.max_bytes:
            raise OutOfSpace("the inbox is full: raise ICH_NODE_MAX_BYTES")

    def new_file(self) -> Path:
        return self.incoming() / f"{next(self._numbers)}.part"

    def incoming(self) -> Path:
        folder = self.folder / "incoming"
        folder.mkdir(exist_ok=True)
        return folder

    def add(self, transfer: Transfer, header: InstanceHeader, file: Path, digest: bytes) -> Added:
        with self._lock:
            if earlier := self.stored.get(header.sop_instance_uid):
                file.unlink()
                return Added.SAME if earlier.digest == digest else Added.CONFLICT
            kept = file.rename(self.folder / f"{len(self.stored)}.dcm")
            self.stored[header.sop_instance_uid] = Stored(transfer, header, kept, digest)
            return Added.STORED

    def expect(self, study_instance_uid: str, series_instance_uid: str, instances: int) -> None:
        raise NotImplementedError

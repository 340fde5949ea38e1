"""Takes a received file into the inbox: its header, the digest of its data set, and what became of it."""

from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from services.dicom_node.inbox import Added, Inbox, Transfer
from services.dicom_node.instance_header import InstanceHeader
from services.dicom_node.receive.read_header import read_header
from services.dicom_node.receive.unreadable import UnreadableInstance


@dataclass(frozen=True, slots=True)
class Accepted:
    """An instance that is in the inbox, or that conflicts with one there."""

    header: InstanceHeader
    outcome: Added


def accept_file(inbox: Inbox, transfer: Transfer, path: Path, study_instance_uid: str | None = None) -> Accepted:
    """Move a complete, synchronized file in Part 10 format into the inbox; after any error it is removed.

    Parameters
    ----------
    study_instance_uid : of the only study that is taken; None takes any

    Raises
    ------
    UnreadableInstance
        the file is no whole CT image of this study, or contradicts itself
    OutOfSpace
        the inbox is full
    """
    try:
        found = read_header(path)
        header = found.instance
        if study_instance_uid not in (None, header.study_instance_uid):
            raise UnreadableInstance("other_study", header.sop_class_uid, header.sop_instance_uid)
        with path.open("rb") as file:
            file.seek(found.dataset_at)
            digest = file_digest(file, "sha256").digest()
        return Accepted(header, inbox.add(transfer, header, path, digest))
    finally:
        path.unlink(missing_ok=True)

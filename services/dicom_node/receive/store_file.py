"""Stores a received file, and states the outcome as C-STORE and STOW-RS need it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.dicom_node.inbox import Added, Inbox, OutOfSpace, Transfer
from services.dicom_node.receive.accept_file import accept_file
from services.dicom_node.receive.statuses import (
    DUPLICATE_INSTANCE,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SUCCESS,
    unreadable_status,
)
from services.dicom_node.receive.unreadable import UnreadableInstance

log = logging.getLogger(__name__)
_CONFLICT: Final = "another instance with this UID was received, and is kept"
_NOT_STORED: Final = "the instance could not be written; see the node's log"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file.

    became : a word for metrics
    status : of the response; SUCCESS only where the file is in the inbox
    comment : why it is not; without values of the file
    sop_class_uid, sop_instance_uid : empty where they could not be read
    """

    became: str
    status: int
    comment: str = ""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""


def store_file(
    inbox: Inbox, transfer: Transfer, complete: Callable[[], Path], study_instance_uid: str | None = None
) -> Outcome:
    """Store a file, which is removed where it is not taken.

    Parameters
    ----------
    complete : the path of the complete file on the disk; OutOfSpace where it was not written
    study_instance_uid : of the only study that is taken; None takes any
    """
    try:
        accepted = accept_file(inbox, transfer, complete(), study_instance_uid)
    except OutOfSpace as error:
        return Outcome("out_of_space", OUT_OF_RESOURCES, str(error))
    except UnreadableInstance as error:
        status = unreadable_status(error.code)
        return Outcome(error.code, status, error.detail, error.sop_class_uid, error.sop_instance_uid)
    except Exception as error:  # noqa: BLE001 - boundary: whatever fails, it is not stored
        log.error("storing failed: %s", type(error).__name__)  # noqa: TRY400 - a message may have values
        return Outcome("failed", PROCESSING_FAILURE, _NOT_STORED)
    uids = accepted.header.sop_class_uid, accepted.header.sop_instance_uid
    if accepted.outcome is Added.CONFLICT:
        return Outcome("conflict", DUPLICATE_INSTANCE, _CONFLICT, *uids)
    return Outcome(accepted.outcome.value, SUCCESS, "", *uids)

"""Parses the parts of a STOW-RS request as they arrive: each becomes a file of the inbox, or fails alone."""

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.common.content_coding import is_identity_coding
from services.common.multipart.part_parser import PartParser
from services.common.problems import BadRequest, UnsupportedMediaType
from services.dicom_node.inbox import Inbox, OutOfSpace, Transfer
from services.dicom_node.receive.incoming_file import IncomingFile
from services.dicom_node.receive.statuses import SUCCESS
from services.dicom_node.receive.store_file import Outcome, store_file
from services.dicom_node.receive.stow_response import FailedInstance, StoredInstance, StoreResult

log = logging.getLogger(__name__)
DICOM: Final = b"application/dicom"


class NoInstances(BadRequest):
    code = "no_instances"
    title = "No instance was sent"


class StowParts:
    """Stores each part of a multipart body.

    Parameters
    ----------
    transfer : that the parts belong to
    max_instances, max_instance_bytes : limits of the request and of a part
    study_instance_uid : of the URL; a part of another study fails
    instances : counts parts by what became of them
    """

    def __init__(  # noqa: PLR0913 - each is a value of the request or of the node
        self,
        boundary: bytes,
        inbox: Inbox,
        transfer: Transfer,
        *,
        max_instances: int,
        max_instance_bytes: int,
        study_instance_uid: str | None,
        instances: Counter[str],
    ) -> None:
        self._stored: list[StoredInstance] = []
        self._failed: list[FailedInstance] = []
        self._logged: set[str] = set()
        self._inbox, self._transfer, self._study = inbox, transfer, study_instance_uid
        self._max_instance_bytes, self._instances = max_instance_bytes, instances
        self._file: IncomingFile | None = None
        self._out_of_space: OutOfSpace | None = None
        self._parser = PartParser(boundary, self, max_instances)

    def write(self, piece: bytes) -> None:
        """Parse the next piece of the body."""
        self._parser.write(piece)

    def finish(self) -> StoreResult:
        """What became of the parts of a complete body."""
        self._parser.check_complete()
        if not self._stored and not self._failed:
            raise NoInstances("send at least one DICOM file as a part of the body")
        return StoreResult(self._stored, self._failed)

    def close(self) -> None:
        """Remove a file that an error left incomplete."""
        if self._file:
            self._file.discard()

    def begin_part(self, headers: Mapping[bytes, bytes]) -> None:
        """Begin a file; UnsupportedMediaType where the part is no plain DICOM file."""
        kind = headers.get(b"content-type", DICOM).partition(b";")[0].strip().lower()
        if kind != DICOM or not is_identity_coding(headers.get(b"content-encoding", b"").decode("latin-1")):
            raise UnsupportedMediaType("each part must be application/dicom, without a content coding")
        self._file, self._out_of_space = None, None
        try:
            self._file = IncomingFile(self._inbox, self._max_instance_bytes)
        except OutOfSpace as error:
            self._out_of_space = error

    def add_data(self, data: memoryview) -> None:
        """Write data of the part, unless it has failed."""
        if self._file is None:
            return
        try:
            self._file.write(data)
        except OutOfSpace as error:
            self._file.discard()
            self._file, self._out_of_space = None, error

    def end_part(self) -> None:
        """Store the part's file."""
        file, self._file = self._file, None
        outcome = store_file(self._inbox, self._transfer, lambda: self._complete(file), self._study)
        self._instances[outcome.became] += 1
        if outcome.status == SUCCESS:
            self._stored.append(StoredInstance(outcome.sop_class_uid, outcome.sop_instance_uid))
        else:
            self._failed.append(FailedInstance(outcome.sop_class_uid, outcome.sop_instance_uid, outcome.status))
            self._log_once(outcome)

    def _log_once(self, outcome: Outcome) -> None:
        """Log the first instance that fails so: a request may have thousands."""
        if outcome.became not in self._logged:
            self._logged.add(outcome.became)
            log.warning("instances of %s are not stored: %s", self._transfer.peer, outcome.comment)

    def _complete(self, file: IncomingFile | None) -> Path:
        if file is None:
            raise self._out_of_space or OutOfSpace("the part was not written")
        file.complete()
        return file.path

"""Retrieves one series into the inbox, by WADO-RS or C-MOVE."""

from collections import Counter
from dataclasses import dataclass
from typing import Final, Protocol

import httpx
from pydicom import Dataset
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove  # type: ignore[attr-defined]
from python_multipart.multipart import parse_options_header

from services.common.problems import Problem
from services.dicom_node.associations import Associations, cut_after
from services.dicom_node.inbox import Inbox, Transfer
from services.dicom_node.peers import Peer, PeerUnavailable
from services.dicom_node.receive.statuses import OUT_OF_RESOURCES, PROCESSING_FAILURE
from services.dicom_node.receive.stow_parts import StowParts
from services.dicom_node.receive.stow_response import StoreResult
from services.dicom_node.settings import Settings
from services.dicom_node.web_client import WebClient

# Any transfer syntax: the node stores instances as they are (PS3.18 8.7.3.5.2).
_ACCEPT: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_PIECE_BYTES: Final = 1 << 20
_SUCCESS: Final = 0x0000
_SOME_FAILED: Final = 0xB000
_UNKNOWN_DESTINATION: Final = 0xA801


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a series was not retrieved whole. `final`: repeating it is unlikely to help."""

    code: str
    final: bool = False


class Retrieval(Protocol):
    """Retrieves series from one peer."""

    def retrieve(self, study_uid: str, series_uid: str) -> Failure | None:
        """Retrieve all instances; the failure, or None. PeerUnavailable where the peer does not answer."""


@dataclass(frozen=True, slots=True)
class WadoRetrieval:
    """Streams a series by WADO-RS (PS3.18 10.4): one request is one transfer."""

    peer: Peer
    settings: Settings
    inbox: Inbox

    def retrieve(self, study_uid: str, series_uid: str) -> Failure | None:
        """Store each part as it arrives."""
        url = f"{self.peer.dicom_web_url}/studies/{study_uid}/series/{series_uid}"
        web = WebClient(self.peer, self.settings.send_timeout_s)
        with web as client, client.stream("GET", url, {"accept": _ACCEPT}) as response:
            if not response.is_success:
                raise client.unavailable(response.status_code)
            result = self._receive(response, study_uid)
        return _failure(result)

    def _receive(self, response: httpx.Response, study_uid: str) -> StoreResult:
        transfer = self.inbox.begin_transfer("pull", self.peer.name)
        try:
            result = self._store_parts(response, transfer, study_uid)
        except BaseException:
            self.inbox.end_transfer(transfer, "aborted")
            raise
        self.inbox.end_transfer(transfer, "released")
        return result

    def _store_parts(self, response: httpx.Response, transfer: Transfer, study_uid: str) -> StoreResult:
        kind, options = parse_options_header(response.headers.get("content-type", ""))
        if kind != b"multipart/related" or not options.get(b"boundary"):
            raise PeerUnavailable("invalid_response", f"{self.peer.name} answers no multipart/related to WADO-RS")
        parts = StowParts(
            options[b"boundary"],
            self.inbox,
            transfer,
            max_instances=self.settings.max_stow_instances,
            max_instance_bytes=self.settings.max_instance_bytes,
            study_instance_uid=study_uid,
            instances=Counter(),
        )
        try:
            for piece in response.iter_bytes(_PIECE_BYTES):
                parts.write(piece)
            return parts.finish()
        except Problem as error:
            message = f"{self.peer.name} answers a malformed body to WADO-RS: {error.detail}"
            raise PeerUnavailable("invalid_response", message) from error
        finally:
            parts.close()


@dataclass(frozen=True, slots=True)
class MoveRetrieval:
    """Lets a peer send a series to the node's own DICOM port (PS3.4 C.4.2), within `limit_s`."""

    peer: Peer
    associations: Associations
    limit_s: float

    def retrieve(self, study_uid: str, series_uid: str) -> Failure | None:
        """Wait until the peer has sent all instances. They arrive as a transfer of their own association."""
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "SERIES"
        identifier.StudyInstanceUID, identifier.SeriesInstanceUID = study_uid, series_uid
        with self.associations.open(
            self.peer, [build_context(StudyRootQueryRetrieveInformationModelMove)]
        ) as association:
            if not association.accepted_contexts:
                raise PeerUnavailable("move_not_accepted", f"{self.peer.name} does not accept C-MOVE")
            with cut_after(association, self.limit_s):
                responses = association.send_c_move(
                    identifier, self.associations.ae_title, StudyRootQueryRetrieveInformationModelMove
                )
                statuses = [status for status, _ in responses]
        return self._outcome(statuses[-1] if statuses else Dataset())

    def _outcome(self, status: Dataset) -> Failure | None:
        code = status.get("Status")
        if code == _SUCCESS:
            return None
        if code == _SOME_FAILED:
            return Failure("instances_failed")
        name = "association_aborted" if code is None else f"move_status_{code:04x}"
        remedy = (
            f"list the AE {self.associations.ae_title} with the node's host and DICOM port there"
            if code == _UNKNOWN_DESTINATION
            else "see its log"
        )
        raise PeerUnavailable(name, f"{self.peer.name} does not send by C-MOVE ({name}): {remedy}")


def _failure(result: StoreResult) -> Failure | None:
    """The failure of the instances; a transient one first, since it is repeated."""
    reasons = [each.reason for each in result.failed]
    if OUT_OF_RESOURCES in reasons:
        return Failure("out_of_space")
    if PROCESSING_FAILURE in reasons:
        return Failure("instances_failed")
    return Failure(f"instances_refused_{reasons[0]:04x}", final=True) if reasons else None

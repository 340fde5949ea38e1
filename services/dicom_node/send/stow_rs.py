"""Sends result objects by STOW-RS (PS3.18 10.5), one in a request: a refused object takes no other with it."""

import secrets
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

from services.dicom_node.associations import Associations
from services.dicom_node.peers import Peer
from services.dicom_node.query.dicom_json import InvalidJson, Item, read_items, sequence, texts
from services.dicom_node.registry.delivery import Delivery
from services.dicom_node.send.check import check_all
from services.dicom_node.send.delivery_queue import DeliveryQueue
from services.dicom_node.send.outcomes import UNREADABLE, Outcome, of_status
from services.dicom_node.web_client import WebClient, WebResponse

_PIECE_BYTES: Final = 1 << 18
# Responses with a Store Instances Response Module.
_WITH_MODULE: Final = (HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT)
# Responses that are about the content of the request.
_REFUSALS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_PROCESSING_FAILURE: Final = 0x0110
NOT_NAMED: Final = Outcome("failed", "response_names_no_instance")


class StowTransport:
    """Sends by STOW-RS; sent objects are confirmed by a query where the peer has one."""

    def __init__(self, peer: Peer, associations: Associations, queue: DeliveryQueue) -> None:
        self._peer, self._associations, self._queue = peer, associations, queue
        self._stopped = False

    def deliver(self, batch: Sequence[Delivery]) -> None:
        """Send each object in a request of one connection."""
        with WebClient(self._peer, self._associations.message_timeout_s) as client:
            for delivery in batch:
                if not self._stopped and self._queue.begin(delivery):
                    self._queue.record(delivery, self._store(client, delivery))

    def confirm(self, batch: Sequence[Delivery]) -> None:
        """Ask whether the objects are stored."""
        check_all(self._peer, self._associations, self._queue, batch)

    def abort(self) -> None:
        """A request in progress ends with its time-out."""

    def stop(self) -> None:
        """Send no further object."""
        self._stopped = True

    def _store(self, client: WebClient, delivery: Delivery) -> Outcome:
        if not delivery.path.is_file():
            return UNREADABLE
        boundary = secrets.token_hex(16)
        head = f"--{boundary}\r\ncontent-type: application/dicom\r\n\r\n".encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "accept": "application/dicom+json",
            "content-type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "content-length": str(len(head) + delivery.path.stat().st_size + len(tail)),
        }
        response = client.request(
            "POST", f"{self._peer.dicom_web_url}/studies", headers, _body(head, delivery.path, tail)
        )
        if response.status in _WITH_MODULE:
            return read_response(response, delivery.sop_instance_uid)
        if response.status in _REFUSALS:
            return Outcome("refused", f"http_{response.status}")
        raise client.unavailable(response.status)


def read_response(response: WebResponse, sop_instance_uid: str) -> Outcome:
    """The outcome by the response's data set: only an instance that it names as referenced is stored."""
    try:
        items = read_items(response.body)
    except InvalidJson:
        return Outcome("failed", "response_unreadable")
    for item in items:
        if reason := _reason(item, sop_instance_uid):
            return of_status(reason)
        if warning := _stored(item, sop_instance_uid):
            return warning
    return NOT_NAMED


def _reason(item: Item, uid: str) -> int | None:
    """The FailureReason of the instance; None where it has not failed."""
    for failed in sequence(item, "FailedSOPSequence"):
        if uid in texts(failed, "ReferencedSOPInstanceUID"):
            code = next(iter(texts(failed, "FailureReason")), "")
            return int(code) if code.isdigit() else _PROCESSING_FAILURE
    return None


def _stored(item: Item, uid: str) -> Outcome | None:
    for stored in sequence(item, "ReferencedSOPSequence"):
        if uid in texts(stored, "ReferencedSOPInstanceUID"):
            warning = next(iter(texts(stored, "WarningReason")), "")
            return Outcome("sent", f"status_{int(warning):04x}" if warning.isdigit() else "")
    return None


def _body(head: bytes, path: Path, tail: bytes) -> Iterator[bytes]:
    yield head
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
    yield tail

"""Posts FHIR bundles to the base URL of a server (FHIR R4, http.html#transaction)."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from services.dicom_node.peers import Peer
from services.dicom_node.registry.delivery import Delivery
from services.dicom_node.send.delivery_queue import DeliveryQueue
from services.dicom_node.send.outcomes import UNREADABLE, Outcome
from services.dicom_node.web_client import WebClient, WebResponse

_HEADERS: Final = {"accept": "application/fhir+json", "content-type": "application/fhir+json"}
_REFUSALS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


class FhirTransport:
    """Posts each bundle; a server does not confirm."""

    def __init__(self, peer: Peer, timeout_s: float, queue: DeliveryQueue) -> None:
        self._peer, self._timeout_s, self._queue = peer, timeout_s, queue
        self._stopped = False

    def deliver(self, batch: Sequence[Delivery]) -> None:
        """Post the bundles."""
        with WebClient(self._peer, self._timeout_s) as client:
            for delivery in batch:
                if not self._stopped and self._queue.begin(delivery):
                    self._queue.record(delivery, self._post(client, delivery))

    def confirm(self, batch: Sequence[Delivery]) -> None:
        """Never called: deliveries of FHIR end at `sent`."""
        raise NotImplementedError

    def stop(self) -> None:
        """Post no further bundle."""
        self._stopped = True

    def abort(self) -> None:
        """A request in progress ends with its time-out."""

    def _post(self, client: WebClient, delivery: Delivery) -> Outcome:
        if not delivery.path.is_file():
            return UNREADABLE
        response = client.request("POST", str(self._peer.fhir_url), _HEADERS, delivery.path.read_bytes())
        if response.is_success:
            return read_bundle(response)
        if response.status in _REFUSALS:
            return Outcome("refused", f"http_{response.status}")
        raise client.unavailable(response.status)


def read_bundle(response: WebResponse) -> Outcome:
    """The outcome by the entries of the response: a batch may fail in part, with the status 200."""
    try:
        document = json.loads(response.body or b"{}")
    except (ValueError, RecursionError):
        return Outcome("failed", "response_unreadable")
    statuses = [_status(entry) for entry in _entries(document)]
    failed = [status for status in statuses if not status.startswith("2")]
    if not failed:
        return Outcome("sent")
    return Outcome("refused" if failed[0].startswith("4") else "failed", f"entry_{failed[0][:3]}")


def _entries(document: Any) -> Sequence[Any]:
    found = document.get("entry") if isinstance(document, dict) else None
    return found if isinstance(found, list) else ()


def _status(entry: Any) -> str:
    response = entry.get("response") if isinstance(entry, dict) else None
    return str(response.get("status", "")) if isinstance(response, dict) else ""

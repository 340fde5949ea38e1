"""Queries by QIDO-RS (PS3.18 10.6)."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from pydicom.uid import UID

from services.dicom_node.peers import Peer, PeerUnavailable
from services.dicom_node.query.dicom_json import InvalidJson, Item, read_items, texts, values
from services.dicom_node.query.headers import found_series, with_instance
from services.dicom_node.query.peer_query import INSTANCE_KEYS, SERIES_KEYS, FoundSeries
from services.dicom_node.web_client import WebClient

_HEADERS: Final = {"accept": "application/dicom+json"}
_ABSENT: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND)


class QidoQuery:
    """Asks a peer by its DICOMweb address."""

    def __init__(self, peer: Peer, client: WebClient) -> None:
        self._peer, self._client = peer, client

    def series(self, study_instance_uid: str) -> Sequence[FoundSeries]:
        """The series of a study."""
        items = self._get(f"/studies/{study_instance_uid}/series", includefield=",".join(SERIES_KEYS))
        found = (found_series(study_instance_uid, values(item, SERIES_KEYS)) for item in items)
        return [one for one in found if UID(one.uid).is_valid]

    def with_instance(self, found: FoundSeries) -> FoundSeries:
        """The series with the attributes of its first instance."""
        path = f"/studies/{found.header.study_instance_uid}/series/{found.uid}/instances"
        items = self._get(path, limit=1, includefield=",".join(INSTANCE_KEYS))
        return with_instance(found, values(items[0], INSTANCE_KEYS)) if items else found

    def has_instance(self, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str) -> bool:
        """Whether the instance itself is listed, since a peer may ignore what it does not know."""
        items = self._get(
            f"/studies/{study_instance_uid}/series/{series_instance_uid}/instances", SOPInstanceUID=sop_instance_uid
        )
        return any(sop_instance_uid in texts(item, "SOPInstanceUID") for item in items)

    def _get(self, path: str, **query: Any) -> Sequence[Item]:
        url = f"{self._peer.dicom_web_url}{path}?{urlencode(query, safe=',')}"
        response = self._client.request("GET", url, _HEADERS)
        if response.status in _ABSENT:
            return ()
        if not response.is_success:
            raise self._client.unavailable(response.status)
        try:
            return read_items(response.body)
        except InvalidJson:
            message = f"{self._peer.name} answers no DICOM JSON of at most 16 MiB: check its dicom_web_url"
            raise PeerUnavailable("invalid_response", message) from None

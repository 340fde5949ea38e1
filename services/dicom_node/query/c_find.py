"""Queries by C-FIND in the Study Root model (PS3.4 C.6.2)."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from services.dicom_node.associations import Associations
from services.dicom_node.peers import Peer, PeerUnavailable
from services.dicom_node.query.headers import found_series, with_instance
from services.dicom_node.query.peer_query import INSTANCE_KEYS, SERIES_KEYS, FoundSeries

_PENDING: Final = (0xFF00, 0xFF01)
_SUCCESS: Final = 0x0000
_MAX_MATCHES: Final = 5000


def find_context() -> PresentationContext:
    return build_context(StudyRootQueryRetrieveInformationModelFind)


class FindQuery:
    """Asks a peer on an association that has `find_context`."""

    def __init__(self, peer: Peer, associations: Associations, association: Association) -> None:
        self._peer, self._associations, self._association = peer, associations, association

    def series(self, study_instance_uid: str) -> Sequence[FoundSeries]:
        """The series of a study."""
        matches = self._find("SERIES", SERIES_KEYS, StudyInstanceUID=study_instance_uid)
        found = (found_series(study_instance_uid, _values(match, SERIES_KEYS)) for match in matches)
        return [one for one in found if UID(one.uid).is_valid]

    def with_instance(self, found: FoundSeries) -> FoundSeries:
        """The series with the attributes of one instance. Many peers answer few of them."""
        uids = {"StudyInstanceUID": found.header.study_instance_uid, "SeriesInstanceUID": found.uid}
        matches = self._find("IMAGE", INSTANCE_KEYS, **uids)
        counted = found if found.instances is not None else FoundSeries(found.header, len(matches) or None)
        return with_instance(counted, _values(matches[0], INSTANCE_KEYS)) if matches else counted

    def has_instance(self, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str) -> bool:
        """Whether the instance itself is listed."""
        uids = {"StudyInstanceUID": study_instance_uid, "SeriesInstanceUID": series_instance_uid}
        matches = self._find("IMAGE", (), **uids, SOPInstanceUID=sop_instance_uid)
        return any(match.get("SOPInstanceUID") == sop_instance_uid for match in matches)

    def _find(self, level: str, keys: Sequence[str], **wanted: str) -> list[Dataset]:
        identifier = Dataset()
        identifier.QueryRetrieveLevel = level
        for keyword in keys:
            setattr(identifier, keyword, None)
        for keyword, value in wanted.items():
            setattr(identifier, keyword, value)
        with self._associations.message(self._association):
            return list(islice(self._matches(identifier), _MAX_MATCHES))

    def _matches(self, identifier: Dataset) -> Iterator[Dataset]:
        if not any(
            one.abstract_syntax == StudyRootQueryRetrieveInformationModelFind
            for one in self._association.accepted_contexts
        ):
            message = f"{self._peer.name} does not accept C-FIND in the Study Root model: use its dicom_web_url"
            raise PeerUnavailable("find_not_accepted", message)
        for status, match in self._association.send_c_find(identifier, StudyRootQueryRetrieveInformationModelFind):
            code = status.get("Status")
            if code in _PENDING:
                if match is not None:
                    yield match
            elif code != _SUCCESS:
                name = "association_aborted" if code is None else f"find_status_{code:04x}"
                raise PeerUnavailable(name, f"{self._peer.name} does not answer C-FIND ({name}): see its log")


def _values(match: Dataset, keywords: Sequence[str]) -> dict[str, tuple[str, ...]]:
    return {keyword: found for keyword in keywords if (found := _texts(match, keyword))}


def _texts(match: Dataset, keyword: str) -> tuple[str, ...]:
    value = match.get(keyword)
    if value is None or value == "":
        return ()
    return tuple(map(str, value)) if isinstance(value, MultiValue) else (str(value),)

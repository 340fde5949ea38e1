"""Opens a query of a peer, by QIDO-RS where it has a DICOMweb address, else by C-FIND."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from services.dicom_node.associations import Associations
from services.dicom_node.peers import Peer
from services.dicom_node.query.c_find import FindQuery, find_context
from services.dicom_node.query.peer_query import PeerQuery
from services.dicom_node.query.qido import QidoQuery
from services.dicom_node.web_client import WebClient

QueryProtocol = Literal["qido-rs", "c-find"]


def preferred_protocol(peer: Peer) -> QueryProtocol:
    return "qido-rs" if peer.dicom_web_url else "c-find"


@contextmanager
def open_query(peer: Peer, by: QueryProtocol, associations: Associations) -> Iterator[PeerQuery]:
    """A query with its connection; PeerUnavailable where there is none."""
    if by == "qido-rs":
        with WebClient(peer, associations.message_timeout_s) as client:
            yield QidoQuery(peer, client)
    else:
        with associations.open(peer, [find_context()]) as association:
            yield FindQuery(peer, associations, association)

"""Confirms sent objects by a query, at destinations without storage commitment."""

from collections.abc import Sequence
from typing import Final

from services.dicom_node.associations import Associations
from services.dicom_node.peers import Peer
from services.dicom_node.query.open_query import open_query
from services.dicom_node.query.peer_query import PeerQuery
from services.dicom_node.registry.delivery import Delivery
from services.dicom_node.send.delivery_queue import DeliveryQueue
from services.dicom_node.send.outcomes import Outcome

_NOT_FOUND: Final = Outcome("failed", "not_found")


def check_all(peer: Peer, associations: Associations, queue: DeliveryQueue, batch: Sequence[Delivery]) -> None:
    """Confirm the objects that the destination lists. One that is absent twice is sent again."""
    with open_query(peer, "c-find" if peer.check == "c-find" else "qido-rs", associations) as query:
        _check(queue, query, batch)


def _check(queue: DeliveryQueue, query: PeerQuery, batch: Sequence[Delivery]) -> None:
    for delivery in batch:
        if not queue.begin(delivery):
            continue
        if query.has_instance(delivery.study_uid, delivery.series_uid, delivery.sop_instance_uid):
            queue.confirm([delivery])
        elif delivery.code == _NOT_FOUND.code:
            queue.send_again(delivery, _NOT_FOUND)
        else:
            queue.note_unconfirmed([delivery], _NOT_FOUND.code)

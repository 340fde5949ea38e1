"""C-STORE with storage commitment: one association for the objects of an assessment and the request for them."""

import time
from collections.abc import Sequence
from typing import Final

from pydicom.uid import generate_uid
from pynetdicom import evt
from pynetdicom.association import Association

from services.dicom_node.associations import Associations, abort
from services.dicom_node.peers import Peer
from services.dicom_node.registry.delivery import Delivery
from services.dicom_node.send.c_store import storage_contexts, store
from services.dicom_node.send.check import check_all
from services.dicom_node.send.commitment import accepts_commitment, commitment_context, request_commitment
from services.dicom_node.send.commitment_reports import CommitmentReports
from services.dicom_node.send.delivery_queue import DeliveryQueue
from services.dicom_node.send.outcomes import UNREADABLE

_POLL_S: Final = 0.05


class DicomTransport:
    """Sends by C-STORE; without storage commitment, a query confirms sent objects where the peer has one."""

    def __init__(
        self, peer: Peer, associations: Associations, queue: DeliveryQueue, reports: CommitmentReports
    ) -> None:
        self._peer, self._associations, self._queue, self._reports = peer, associations, queue, reports
        self._open: Association | None = None
        self._stopped = False

    def deliver(self, batch: Sequence[Delivery]) -> None:
        """Send the objects, and ask for commitment on the same association."""
        contexts = storage_contexts(batch)
        if not contexts:
            self._give_up(batch)
            return
        contexts += [commitment_context()] if self._peer.commits else []
        handlers = [(evt.EVT_N_EVENT_REPORT, self._report)]
        with self._associations.open(self._peer, contexts, handlers) as association:
            self._open = association
            sent = [delivery for delivery in batch if self._store(association, delivery)]
            if sent and self._peer.commits:
                self._request(association, sent)

    def confirm(self, batch: Sequence[Delivery]) -> None:
        """Ask for commitment of objects that were sent on earlier associations, or look for them."""
        if not self._peer.commits:
            check_all(self._peer, self._associations, self._queue, batch)
            return
        handlers = [(evt.EVT_N_EVENT_REPORT, self._report)]
        with self._associations.open(self._peer, [commitment_context()], handlers) as association:
            self._open = association
            self._request(association, batch)

    def stop(self) -> None:
        """Send no further object, and wait for no report."""
        self._stopped = True

    def abort(self) -> None:
        """Abort the open association."""
        if self._open and self._open.is_established:
            abort(self._open)

    def _give_up(self, batch: Sequence[Delivery]) -> None:
        for delivery in batch:
            if self._queue.begin(delivery):
                self._queue.record(delivery, UNREADABLE)

    def _store(self, association: Association, delivery: Delivery) -> bool:
        """Whether an object was sent. Those that follow an abort keep their turn: none of them caused it."""
        if self._stopped or not association.is_established or not self._queue.begin(delivery):
            return False
        with self._associations.message(association):
            outcome = store(association, delivery)
        self._queue.record(delivery, outcome)
        return outcome.result == "sent"

    def _request(self, association: Association, batch: Sequence[Delivery]) -> None:
        """Ask for commitment, and hold the association for a while: some destinations report on it."""
        if not accepts_commitment(association):
            self._queue.note_unconfirmed(batch, "commitment_not_accepted")
            return
        transaction_uid = str(generate_uid(prefix=None))
        self._queue.request(batch, transaction_uid)
        with self._reports.awaiting(transaction_uid) as reported:
            with self._associations.message(association):
                code = request_commitment(association, transaction_uid, batch)
            if code:
                self._queue.note_unconfirmed(batch, code)
                return
            until = time.monotonic() + self._queue.rules.wait_s
            while association.is_established and time.monotonic() < until and not self._stopped:
                if reported.wait(_POLL_S):
                    return

    def _report(self, event: evt.Event) -> tuple[int, None]:
        return self._reports.handle(event), None

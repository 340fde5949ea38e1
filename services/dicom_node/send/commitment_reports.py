"""Takes reports of storage commitment, from the association of its request or from one that the destination opens."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Lock

from pynetdicom import evt

from services.dicom_node.registry.deliveries import Deliveries
from services.dicom_node.send.commitment import INVALID_ARGUMENT, SUCCESS, CommitmentReport, InvalidReport, read_report
from services.dicom_node.send.delivery_queue import DeliveryQueue
from services.dicom_node.send.outcomes import Outcome, of_status

log = logging.getLogger(__name__)


class CommitmentReports:
    """Applies reports to the deliveries of their transaction. `handle` may be called from any thread."""

    def __init__(self, deliveries: Deliveries, queues: Mapping[str, DeliveryQueue]) -> None:
        self._deliveries, self._queues = deliveries, queues
        self._lock = Lock()
        self._awaited: dict[str, Event] = {}

    def handle(self, event: evt.Event) -> int:
        """The status that answers an N-EVENT-REPORT, after its effect is durable."""
        try:
            report = read_report(event)
        except InvalidReport as error:
            log.warning("%s", error)
            return error.status
        queue = self._queues.get(self._deliveries.requested_of(report.transaction_uid) or "")
        if queue is None:
            log.warning("a report of storage commitment names no transaction of this node")
            return INVALID_ARGUMENT
        self._apply(report, queue)
        with self._lock:
            if waiting := self._awaited.get(report.transaction_uid):
                waiting.set()
        return SUCCESS

    @contextmanager
    def awaiting(self, transaction_uid: str) -> Iterator[Event]:
        """An event that is set once the report of this transaction is durable."""
        event = Event()
        with self._lock:
            self._awaited[transaction_uid] = event
        try:
            yield event
        finally:
            with self._lock:
                del self._awaited[transaction_uid]

    def _apply(self, report: CommitmentReport, queue: DeliveryQueue) -> None:
        """A late report commits, too; a failure counts for the latest request only, since the object was sent again."""
        named = {uid for _, uid in report.committed} | set(report.failed)
        current = self._deliveries.current_in(report.transaction_uid)
        found = self._deliveries.sent_objects(queue.destination, named)
        queue.confirm([one for one in found if (one.sop_class_uid, one.sop_instance_uid) in report.committed])
        for one in found:
            if one.id in current and one.sop_instance_uid in report.failed:
                queue.send_again(one, _failure(report.failed[one.sop_instance_uid]))


def _failure(reason: int) -> Outcome:
    refused = of_status(reason).result == "refused"
    return Outcome("refused" if refused else "failed", f"not_committed_{reason:04x}")

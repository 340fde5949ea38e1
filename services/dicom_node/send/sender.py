"""Sends result objects to all destinations: a part of the node."""

from collections.abc import Iterator, Mapping

from pynetdicom import evt

from services.common.retry_policy import RetryPolicy
from services.dicom_node.associations import Associations, quieten_pynetdicom
from services.dicom_node.kinds import Kind
from services.dicom_node.peers import Peer, Peers
from services.dicom_node.registry.deliveries import Deliveries
from services.dicom_node.registry.delivery_steps import Destination
from services.dicom_node.send.commitment_reports import CommitmentReports
from services.dicom_node.send.delivery_queue import DeliveryQueue, SendRules
from services.dicom_node.send.destination import DestinationThread
from services.dicom_node.send.dicom_transport import DicomTransport
from services.dicom_node.send.fhir import FhirTransport
from services.dicom_node.send.stow_rs import StowTransport
from services.dicom_node.send.transport import Transport
from services.dicom_node.settings import Settings


class Sender:
    """A thread for each destination of the peers."""

    name = "sender"

    def __init__(self, settings: Settings, peers: Peers, deliveries: Deliveries) -> None:
        self._deliveries, self._rules = deliveries, send_rules(settings)
        self._peers = [peer for peer in peers.values() if peer.send]
        self._queues = {peer.name: DeliveryQueue(peer.name, deliveries, self._rules) for peer in self._peers}
        self._reports = CommitmentReports(deliveries, self._queues)
        self._associations = Associations(settings.ae_titles[0], settings.send_timeout_s)
        self._threads: list[DestinationThread] = []

    def start(self) -> None:
        """Send in the background."""
        quieten_pynetdicom()
        self._threads = [thread for peer in self._peers for thread in self._threads_of(peer)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop; unfinished deliveries resume at the next start."""
        for thread in self._threads:
            thread.stop()

    def is_running(self) -> bool:
        """Whether each destination is served."""
        return all(thread.is_running() for thread in self._threads)

    def wake(self) -> None:
        """Look at once for new deliveries, from any thread."""
        for thread in self._threads:
            thread.wake()

    def on_commitment(self, event: evt.Event) -> int:
        """Take a report that a destination sends on an association of its own; the status that answers it."""
        return self._reports.handle(event)

    def _threads_of(self, peer: Peer) -> Iterator[DestinationThread]:
        """One thread for DICOM objects, one for FHIR."""
        if peer.sends_dicom:
            queue = self._queues[peer.name]
            yield DestinationThread(queue, self._transport(peer, queue))
        if "fhir" in peer.send:
            queue = DeliveryQueue(peer.name, self._deliveries, self._rules, fhir=True)
            yield DestinationThread(queue, FhirTransport(peer, self._associations.message_timeout_s, queue))

    def _transport(self, peer: Peer, queue: DeliveryQueue) -> Transport:
        if peer.by == "stow-rs":
            return StowTransport(peer, self._associations, queue)
        return DicomTransport(peer, self._associations, queue, self._reports)


def destinations(peers: Peers) -> Mapping[str, Destination]:
    """What each peer with `send` gets, for `plan_deliveries`."""
    return {name: Destination(peer.send, _confirmed(peer)) for name, peer in peers.items() if peer.send}


def send_rules(settings: Settings) -> SendRules:
    return SendRules(
        RetryPolicy(settings.send_first_delay_s, settings.send_patience_s, settings.send_max_delay_s),
        settings.send_max_refusals,
        settings.commitment_timeout_s,
        settings.commitment_wait_s,
    )


def _confirmed(peer: Peer) -> frozenset[Kind]:
    return peer.send - {"fhir"} if peer.commits or peer.check != "none" else frozenset()

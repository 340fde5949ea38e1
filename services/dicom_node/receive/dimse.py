"""The C-STORE and C-ECHO SCP of the node (PS3.4 annexes A and B), and its end of storage commitment (annex J)."""

import logging
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Final

from pydicom import Dataset
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

from services.dicom_node.inbox import Inbox
from services.dicom_node.receive.association import NodeAssociation, status_dataset
from services.dicom_node.receive.dimse_server import MAX_PDU_BYTES, BoundedServer
from services.dicom_node.receive.fair_limit import FairLimit
from services.dicom_node.receive.statuses import SUCCESS
from services.dicom_node.receive.supported import CT_CLASSES, TRANSFER_SYNTAXES
from services.dicom_node.settings import Settings

log = logging.getLogger(__name__)
OnCommitment = Callable[[evt.Event], int]
_ACSE_S: Final = 10.0
_SPARE_CONNECTIONS: Final = 16  # beside those with an association: not yet negotiated, or being refused
_STOP_S: Final = 10.0
_DRAIN_POLL_S: Final = 0.05
_UNRECOGNIZED_OPERATION: Final = 0x0211  # PS3.7 C.5.22
# Result, source and reason of a rejection (PS3.8 9.3.4).
_CALLING_UNKNOWN: Final = (1, 1, 3)
_CALLED_UNKNOWN: Final = (1, 1, 7)
_LIMIT_REACHED: Final = (2, 3, 2)


class DimseReceiver:
    """Receives CT instances into an inbox: a part of the node.

    Parameters
    ----------
    on_commitment
        handles an N-EVENT-REPORT of storage commitment, and returns its status; None accepts no such association

    Attributes
    ----------
    instances : number of received instances by what became of them
    rejected : number of rejected associations by reason
    """

    name = "DICOM receiver"

    def __init__(self, settings: Settings, inbox: Inbox, on_commitment: OnCommitment | None = None) -> None:
        self.instances: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self._settings, self._inbox, self._on_commitment = settings, inbox, on_commitment
        most, per_address = settings.max_associations, settings.max_associations_per_address
        self._associations = FairLimit(most, per_address)
        self._connections = FairLimit(most + _SPARE_CONNECTIONS, per_address + _SPARE_CONNECTIONS)
        self._server: BoundedServer | None = None
        self._thread: Thread | None = None

    @property
    def associations(self) -> int:
        """The number of established associations."""
        return self._associations.used

    @property
    def port(self) -> int:
        """The port that is bound, once it runs."""
        return int(self._server.server_address[1]) if self._server else 0

    def is_running(self) -> bool:
        """Whether associations are accepted."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Bind the port, and accept associations.

        Raises
        ------
        OSError
            the port is taken, or a file of TLS cannot be read
        """
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # it may quote what a peer sent
        address = self._settings.dicom_host, self._settings.dicom_port
        tls = tls_context(self._settings)
        try:
            server = BoundedServer(self._ae(), address, tls, self._connections, self._association)
        except OSError as error:
            where = f"{address[0]}, port {address[1]}"
            remedy = "stop the program that has it, or set ICH_NODE_DICOM_HOST and ICH_NODE_DICOM_PORT to others"
            raise OSError(error.errno, f"{where} cannot be bound ({error.strerror}): {remedy}") from error
        self._server, self._thread = server, Thread(target=server.serve_forever, name="DICOM port", daemon=True)
        self._thread.start()
        log.info("DICOM receiver %s listens at %s, port %d", self._settings.ae_titles[0], address[0], self.port)

    def drain(self, seconds: float) -> None:
        """Close the port, and let open associations end for this time."""
        if server := self._server:
            server.shutdown()
            until = time.monotonic() + seconds
            while self.associations and time.monotonic() < until:
                time.sleep(_DRAIN_POLL_S)

    def stop(self) -> None:
        """Close the port, and abort open associations: senders send again what was not confirmed."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        associations = [each for each in server.active_associations if isinstance(each, NodeAssociation)]
        for association in associations:
            if association.is_established:
                log.warning("association aborted: %s was sending while the node stopped", association.peer)
            association.stop(_STOP_S)

    def _ae(self) -> ApplicationEntity:
        ae = ApplicationEntity(self._settings.ae_titles[0])
        ae.maximum_pdu_size = MAX_PDU_BYTES
        ae.acse_timeout, ae.network_timeout = _ACSE_S, self._settings.association_idle_s
        ae.maximum_associations = 1 << 30  # counted here, by address, too
        return ae

    def _association(self, ae: ApplicationEntity, address: str) -> Association:
        association = NodeAssociation(ae, address, self._inbox, self._settings.max_instance_bytes, self._ended)
        user = association.acceptor
        user.maximum_length, user.ae_title = MAX_PDU_BYTES, ae.ae_title
        user.implementation_class_uid = ae.implementation_class_uid
        user.implementation_version_name = ae.implementation_version_name
        user.supported_contexts = list(self._contexts())
        association.bind(evt.EVT_REQUESTED, self._requested, [association])
        association.bind(evt.EVT_C_ECHO, _echo)
        association.bind(evt.EVT_C_STORE, self._store, [association])
        association.bind(evt.EVT_N_EVENT_REPORT, self._event_report)
        return association

    def _contexts(self) -> Iterator[PresentationContext]:
        yield build_context(Verification)
        yield from (build_context(sop_class, list(TRANSFER_SYNTAXES)) for sop_class in CT_CLASSES)
        if self._on_commitment:  # the PACS is its SCP, though it requests the association (PS3.4 J.3.3)
            commitment = build_context(StorageCommitmentPushModel)
            commitment.scu_role, commitment.scp_role = False, True
            yield commitment

    def _requested(self, _: evt.Event, association: NodeAssociation) -> None:
        """Reject an association of an unknown AE, or beyond a limit."""
        reason = self._rejection(association)
        if reason is None:
            return
        self.rejected[reason[0]] += 1
        log.warning("association rejected: %s", reason[0].replace("_", " "))
        association.acse.send_reject(*reason[1])
        association.kill()

    def _rejection(self, association: NodeAssociation) -> tuple[str, tuple[int, int, int]] | None:
        called, calling = association.ae_titles()
        if called not in self._settings.ae_titles:
            return "unknown_called_ae_title", _CALLED_UNKNOWN
        if self._settings.calling_ae_titles and calling not in self._settings.calling_ae_titles:
            return "unknown_calling_ae_title", _CALLING_UNKNOWN
        association.counted = self._associations.take(association.address)
        return None if association.counted else ("too_many_associations", _LIMIT_REACHED)

    def _ended(self, association: NodeAssociation) -> None:
        if association.counted:
            self._associations.give_back(association.address)
        self._connections.give_back(association.address)

    def _store(self, event: evt.Event, association: NodeAssociation) -> Dataset:
        outcome = association.store(event.request)
        self.instances[outcome.became] += 1
        return status_dataset(outcome)

    def _event_report(self, event: evt.Event) -> tuple[int, None]:
        return self._on_commitment(event) if self._on_commitment else _UNRECOGNIZED_OPERATION, None


def _echo(_: evt.Event) -> int:
    return SUCCESS


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Mutual TLS 1.2 or later (PS3.15 B.12): senders need a certificate of the site's CA. None without a certificate.

    Raises
    ------
    OSError
        a file cannot be read, or is no certificate or key
    """
    if settings.tls_certificate_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with _naming("ICH_NODE_TLS_CERTIFICATE_FILE or ICH_NODE_TLS_KEY_FILE"):
        context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file)
    with _naming("ICH_NODE_TLS_CA_FILE"):
        context.load_verify_locations(settings.tls_ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextmanager
def _naming(setting: str) -> Iterator[None]:
    """Name the setting in an error, which names no file itself."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{setting} cannot be used ({error.strerror}): correct the file") from error

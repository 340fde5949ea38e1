"""Associations that the node requests of a peer (PS3.8), for C-STORE, storage commitment, C-FIND and C-MOVE."""

import logging
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socket import SHUT_RDWR
from threading import Timer
from typing import Any, Final

from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, AssociationSocket

from services.dicom_node.peers import Peer, PeerUnavailable
from services.dicom_node.requestor_messages import await_own_responses

_CONNECT_S: Final = 10.0
_ACCEPT_S: Final = 30.0
_MAX_PDU_BYTES: Final = 131_072
EventHandlers = Sequence[tuple[Any, Callable[..., Any]]]


@dataclass(frozen=True, slots=True)
class Associations:
    """Requests associations as one AE.

    ae_title : of the node
    message_timeout_s : for one DIMSE message and its response, data set included
    """

    ae_title: str
    message_timeout_s: float

    @contextmanager
    def open(
        self, peer: Peer, contexts: Sequence[PresentationContext], handlers: EventHandlers = ()
    ) -> Iterator[Association]:
        """An established association, released at the end, or aborted after an error.

        Raises
        ------
        PeerUnavailable
            the peer cannot be reached, or rejects the association
        """
        association = self._request(peer, contexts, handlers)
        try:
            yield association
        except BaseException:
            abort(association)
            raise
        with cut_after(association, self.message_timeout_s):
            association.release()

    def _request(self, peer: Peer, contexts: Sequence[PresentationContext], handlers: EventHandlers) -> Association:
        ae = _PeerAe(self.ae_title)
        ae.connection_timeout, ae.acse_timeout = _CONNECT_S, _ACCEPT_S
        ae.dimse_timeout = self.message_timeout_s
        ae.network_timeout = 2 * self.message_timeout_s
        association = ae.associate(
            str(peer.host),
            int(peer.port or 0),
            list(contexts),
            ae_title=str(peer.ae_title),
            max_pdu=_MAX_PDU_BYTES,
            tls_args=(peer.tls_context(), peer.tls_name or str(peer.host)) if peer.tls else None,
            evt_handlers=list(handlers),
        )
        if not association.is_established:
            raise _why_not(peer, association)
        return await_own_responses(association)

    @contextmanager
    def message(self, association: Association) -> Iterator[None]:
        """Bound a DIMSE message: pynetdicom waits without end for the rest of a PDU, and for a full receive window."""
        with cut_after(association, 2 * self.message_timeout_s):
            yield


def quieten_pynetdicom() -> None:
    """Keep data sets out of the log, and send files as they are, in pieces.

    pynetdicom logs identifiers of queries and responses; they hold patient data.
    """
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.STORE_SEND_CHUNKED_DATASET = True
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


def abort(association: Association) -> None:
    """Abort an association, also one whose peer does not read."""
    with cut_after(association, _CONNECT_S):
        association.abort()


@contextmanager
def cut_after(association: Association, limit_s: float) -> Iterator[None]:
    """Close the connection where the block takes longer."""
    timer = Timer(limit_s, _cut, [association])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut(association: Association) -> None:
    connection = association.dul.socket and association.dul.socket.socket
    if connection:
        with suppress(OSError):
            connection.shutdown(SHUT_RDWR)


class _PeerSocket(AssociationSocket):
    """A connection that is closed also where it was never established."""

    def _shutdown_socket(self) -> None:
        connection = self.socket
        super()._shutdown_socket()
        if connection:
            connection.close()


class _PeerAe(AE):
    """An AE that makes such connections."""

    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: tuple[ssl.SSLContext, str] | None
    ) -> AssociationSocket:
        connection = _PeerSocket(assoc, address=address)
        connection.tls_args = tls_args
        return connection


def _why_not(peer: Peer, association: Association) -> PeerUnavailable:
    if association.is_rejected:
        reason = getattr(association.acceptor.primitive, "reason_str", "no reason")
        return PeerUnavailable(
            "association_rejected",
            f"{peer.name} rejects the association ({reason}): check both AE titles, here and in the peer's list",
        )
    return PeerUnavailable(
        "unreachable", f"{peer.name} does not answer at its DICOM address: check host, port, firewall and TLS"
    )

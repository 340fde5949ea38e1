"""The listening socket of the DICOM port, and bounded reads from its connections.

pynetdicom's own server shakes hands for TLS in the thread that accepts, so one silent client stops all others. Its
sockets read a PDU of any length, wait for it for ever, and fail where a descriptor is above 1,023.
"""

import logging
import select
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from socket import IPPROTO_TCP, TCP_NODELAY, socket
from socketserver import TCPServer
from typing import Any, Final

from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.transport import (
    AddressInformation,
    AssociationSocket,
    RequestHandler,
    ThreadedAssociationServer,
)

from services.dicom_node.receive.fair_limit import FairLimit

log = logging.getLogger(__name__)
MAX_PDU_BYTES: Final = 131_072  # announced; pynetdicom's default of 16 kB takes a third more of the processor
_MAX_READ_BYTES: Final = 2 * MAX_PDU_BYTES  # of any PDU: an association request names up to 128 contexts
_PDU_S: Final = 30.0  # from the first byte of a PDU to its last one
_HANDSHAKE_S: Final = 10.0
_BACKLOG: Final = 64
_IDLE_S: Final = 1.0  # without data, from when on a thread waits for some instead of asking a thousand times a second
_WAIT_MS: Final = 50


class BoundedSocket(AssociationSocket):
    """A connection that reads PDUs up to a size and within a time."""

    def __init__(self, association: Association, connection: socket, address: AddressInformation | None = None) -> None:
        super().__init__(association, connection, address)
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._last_read = time.monotonic()

    @property
    def ready(self) -> bool:
        """Whether there is data to be read."""
        if self.socket is None or not self._is_connected:
            return False
        if isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            return True
        idle = time.monotonic() - self._last_read > _IDLE_S and not self.provider_queue.qsize()
        return bool(self._poll.poll(_WAIT_MS if idle else 0))

    def close(self) -> None:
        """Close the connection, also one that the peer has closed: pynetdicom leaves that to the collector."""
        connection = self.socket
        super().close()
        if connection:
            connection.close()

    def recv(self, nr_bytes: int) -> bytearray:
        """Read that many bytes; fewer where the connection ends.

        Raises
        ------
        OSError
            the PDU is too long, or too slow
        """
        if nr_bytes > _MAX_READ_BYTES:
            raise OSError("the PDU is longer than any that was offered")
        self._last_read = time.monotonic()
        until, data, filled = self._last_read + _PDU_S, bytearray(nr_bytes), 0
        with memoryview(data) as view:
            while filled < nr_bytes:
                count = self.socket.recv_into(view[filled:]) if self.socket else 0
                filled += count
                if not count:
                    break
                if time.monotonic() > until:
                    raise TimeoutError
        del data[filled:]
        return data


class ConnectionHandler(RequestHandler):
    """Starts the association of a connection."""

    server: "BoundedServer"

    def handle(self) -> None:
        """Make the association, and start its threads."""
        association = self.server.make_association(self.server.ae, self.client_address[0])
        association.name = "AcceptorThread"  # by which pynetdicom finds the associations of a server
        association._server = self.server  # noqa: SLF001 - as pynetdicom's own handler does
        association.requestor.address_info = self.remote
        association.acceptor.address_info = self.local
        association.set_socket(BoundedSocket(association, self.request))
        association.start()


class BoundedServer(ThreadedAssociationServer):
    """Accepts connections within a limit; a connection's own thread shakes hands for TLS.

    Parameters
    ----------
    make_association : of the AE and an address; its socket is set here
    connections : counts them by address; the association gives its own back
    """

    daemon_threads = True
    request_queue_size = _BACKLOG

    def __init__(
        self,
        ae: ApplicationEntity,
        address: tuple[str, int],
        tls: ssl.SSLContext | None,
        connections: FairLimit,
        make_association: Callable[[ApplicationEntity, str], Association],
    ) -> None:
        self.connections, self.make_association = connections, make_association
        super().__init__(ae, address, "", [], tls, request_handler=ConnectionHandler)

    def get_request(self) -> tuple[socket, tuple[str, int]]:
        """Accept a connection."""
        connection, address = TCPServer.get_request(self)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - of the base class
        """Whether the limits of connections allow one more."""
        taken = self.connections.take(client_address[0])
        if not taken:
            log.warning("connection closed: too many from its address, or in all")
        return taken

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the connection's thread. Where the system allows no more threads, its place is given back."""
        try:
            super().process_request(request, client_address)
        except Exception as error:  # noqa: BLE001 - boundary: one connection must not stop the server
            self.connections.give_back(client_address[0])
            log.warning("connection closed: no thread could be started for it (%s)", type(error).__name__)
            self.shutdown_request(request)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands, and start the association."""
        try:
            request.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            request.settimeout(_HANDSHAKE_S)
            if self.ssl_context:
                request = self.ssl_context.wrap_socket(request, server_side=True)
            request.settimeout(_PDU_S)
            super().finish_request(request, client_address)
        except Exception as error:  # noqa: BLE001 - boundary: one connection must not stop the server
            self.connections.give_back(client_address[0])
            reason = getattr(error, "reason", None) or type(error).__name__
            log.warning("connection closed: its TLS handshake or start failed (%s)", reason)
            self.shutdown_request(request)

    def shutdown(self) -> None:
        """Stop to accept connections, and close the port."""
        TCPServer.shutdown(self)
        with suppress(OSError):
            self.server_close()

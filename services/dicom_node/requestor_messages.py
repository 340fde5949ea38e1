"""DIMSE messages of an association that the node requests: bounded, and each response for the thread that awaits it.

pynetdicom's own thread of an association takes messages, too, and is only asked to pause. On a busy machine it takes a
response after that, logs it as unexpected, and the requester waits until its time-out (seen in one of 3,000 messages).

It also reads a whole file ahead of a slow peer: an object of 300 MB took up to 300 MB of memory.
"""

from contextlib import suppress
from queue import Full, Queue
from typing import Any, Final

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dul import DULServiceProvider

_MAX_WAITING: Final = 16  # PDUs of 128 kB
_LOOK_S: Final = 0.5


class RequestorMessages(DIMSEServiceProvider):
    """Hides messages from that thread, which does not block; event reports never pass through the queue."""

    def get_msg(self, block: bool = False) -> tuple[Any, Any]:  # noqa: FBT001, FBT002 - as the base class
        """Take the next message, for a caller that blocks."""
        return super().get_msg(block=True) if block else (None, None)


def await_own_responses(association: Association) -> Association:
    """Let only the caller of a DIMSE service take its response; to be called before the first message."""
    association.dimse = RequestorMessages(association)
    association.dul.to_provider_queue = _BoundedQueue(association.dul)
    return association


class _BoundedQueue(Queue[Any]):
    """PDUs that wait for the connection. Without one they are dropped, since nothing would take them."""

    def __init__(self, dul: DULServiceProvider) -> None:
        super().__init__(_MAX_WAITING)
        self._dul = dul

    def put(self, item: Any, *_: Any, **__: Any) -> None:
        """Wait for room as long as there is a connection."""
        while self._is_connected():
            with suppress(Full):
                return super().put(item, timeout=_LOOK_S)
        return None

    def _is_connected(self) -> bool:
        return self._dul.is_alive() and self._dul.socket is not None and self._dul.socket.socket is not None

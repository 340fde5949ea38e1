"""DIMSE messages of an association that the node requests: each response goes to the thread that awaits it.

pynetdicom's own thread of an association takes messages, too, and is only asked to pause. On a busy machine it takes a
response after that, logs it as unexpected, and the requester waits until its time-out (seen in one of 3,000 messages).
"""

from typing import Any

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider


class RequestorMessages(DIMSEServiceProvider):
    """Hides messages from that thread, which does not block; event reports never pass through the queue."""

    def get_msg(self, block: bool = False) -> tuple[Any, Any]:  # noqa: FBT001, FBT002 - as the base class
        """Take the next message, for a caller that blocks."""
        return super().get_msg(block=True) if block else (None, None)


def await_own_responses(association: Association) -> Association:
    """Let only the caller of a DIMSE service take its response; to be called before the first message."""
    association.dimse = RequestorMessages(association)
    return association

"""The only call that a worker runs: `run_ticket` with the arguments of a ticket.

RQ stores a call in Redis as the JSON list [function, instance, arguments, keyword arguments], compressed by zlib.
Another program that writes to Redis could name any function there, so a worker resolves no name: it compares.
"""

import json
import zlib
from dataclasses import dataclass
from typing import Any, Final

from services.common.clients import SENDER_ID
from services.gateway.jobs.schemas import PRIORITIES, Priority

FUNCTION: Final = "services.gateway.jobs.tasks.run_ticket"
FUNCTIONS: Final = (FUNCTION, "services.gateway.jobs.turns.take_turn")  # and its name in older builds
MAX_CALL_BYTES: Final = 1024  # a call has about 150, packed or not
_TICKET_LENGTH: Final = 16
_HEX_DIGITS: Final = frozenset("0123456789abcdef")


class ForeignCall(Exception):
    """A call that no scheduler of this product stored. Its message is a kind, without content of the call."""


@dataclass(frozen=True, slots=True)
class TicketCall:
    """The arguments of `run_ticket`."""

    priority: Priority
    sender: str
    number: int
    ticket: str


def is_ticket(ticket: object) -> bool:
    """Whether this is a ticket's id: 16 hexadecimal digits."""
    return isinstance(ticket, str) and len(ticket) == _TICKET_LENGTH and _HEX_DIGITS.issuperset(ticket)


def parse_call(packed: bytes | None, ticket: str, lanes: int) -> TicketCall:
    """The call in RQ's field `data` of the job whose id is the ticket.

    Raises
    ------
    ForeignCall
        it is another call, or its arguments are not those of a ticket
    """
    match _decode(packed):
        case [str(function), None, [priority, sender, number, name], {**keywords}] if not keywords:
            pass
        case _:
            raise ForeignCall("no call of a function with four arguments")
    if function not in FUNCTIONS:
        raise ForeignCall("another function")
    return TicketCall(
        _checked("priority", priority, isinstance(priority, str) and priority in PRIORITIES),
        _checked("sender", sender, isinstance(sender, str) and SENDER_ID.fullmatch(sender) is not None),
        _checked("lane", number, type(number) is int and 0 <= number < lanes),
        _checked("ticket", name, is_ticket(name) and name == ticket),
    )


def _checked(what: str, value: Any, valid: bool) -> Any:  # noqa: FBT001 - a condition, read beside its value
    if not valid:
        raise ForeignCall(f"another {what}")
    return value


def _decode(packed: bytes | None) -> Any:
    if packed is None or len(packed) > MAX_CALL_BYTES:
        raise ForeignCall("no data, or too much")
    try:
        return json.loads(_unpack(packed))
    except (ValueError, RecursionError):
        raise ForeignCall("data in another format") from None


def _unpack(packed: bytes) -> bytes:
    """The bytes of a call, which RQ may store without compression; a longer one is cut off, and so is no JSON."""
    try:
        return zlib.decompressobj().decompress(packed, MAX_CALL_BYTES)
    except zlib.error:
        return packed

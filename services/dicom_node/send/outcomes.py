"""What became of an attempt to deliver one object, by the status of its destination."""

from dataclasses import dataclass
from typing import Final, Literal

# Statuses of C-STORE and reasons of STOW-RS and storage commitment (PS3.4 B.2.3, PS3.7 C, PS3.18 I.2.2, PS3.3 C.14.1).
_SUCCESS: Final = 0x0000
_WARNINGS: Final = range(0xB000, 0xC000)
_DUPLICATE_INSTANCE: Final = 0x0111  # the destination has the object, whose bytes never change
_REFUSALS: Final = (
    range(0xA800, 0xAA00),  # A9xx: the data set does not match the SOP class
    range(0xC000, 0xD000),  # Cxxx: cannot understand
    range(0x0105, 0x0108),  # no such attribute, invalid attribute value, attribute list error
    range(0x0117, 0x011A),  # invalid instance, no such class, class and instance contradict each other
    range(0x0120, 0x0123),  # missing attribute, missing value, SOP class not supported
)
Result = Literal["sent", "failed", "refused"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one attempt. `refused`: repeating the same bytes is unlikely to help.

    code : of the failure or warning, for tables and metrics; empty for plain success
    """

    result: Result
    code: str = ""


ABORTED: Final = Outcome("failed", "association_aborted")
NO_CONTEXT: Final = Outcome("refused", "sop_class_not_accepted")
UNREADABLE: Final = Outcome("refused", "object_unreadable")


def of_status(status: int) -> Outcome:
    """The outcome by a DIMSE status or failure reason."""
    code = "" if status == _SUCCESS else f"status_{status:04x}"
    if status in (_SUCCESS, _DUPLICATE_INSTANCE) or status in _WARNINGS:
        return Outcome("sent", code)
    return Outcome("refused" if any(status in codes for codes in _REFUSALS) else "failed", code)

"""Statuses of storage: of C-STORE (PS3.4 B.2.3, PS3.7 C), and as FailureReason of STOW-RS (PS3.18 10.5.3)."""

from typing import Final

from services.dicom_node.receive.unreadable import UnreadableCode

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE_INSTANCE: Final = 0x0111  # with other content
OUT_OF_RESOURCES: Final = 0xA700
_NO_MATCH: Final = 0xA900  # the data set does not match its SOP class
_CANNOT_UNDERSTAND: Final = 0xC000
_OF_CODES: Final[dict[UnreadableCode, int]] = {
    "meta_differs": _NO_MATCH,
    "unsupported_sop_class": _NO_MATCH,
    "no_pixel_data": _NO_MATCH,
    "unsupported_transfer_syntax": 0xC122,
    "other_study": 0xC409,
}


def unreadable_status(code: UnreadableCode) -> int:
    """The status of an instance that is refused."""
    return _OF_CODES.get(code, _CANNOT_UNDERSTAND)

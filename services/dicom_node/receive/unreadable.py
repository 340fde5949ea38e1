"""Why a received instance is refused. No message quotes a value of the file."""

from typing import Final, Literal, get_args

UnreadableCode = Literal[
    "not_dicom",
    "truncated",
    "too_many_elements",
    "too_deep",
    "no_transfer_syntax",
    "unsupported_transfer_syntax",
    "unsupported_sop_class",
    "invalid_uid",
    "meta_differs",
    "no_pixel_data",
    "other_study",
]
UNREADABLE_CODES: Final[tuple[UnreadableCode, ...]] = get_args(UnreadableCode)
DETAILS: Final[dict[UnreadableCode, str]] = {
    "not_dicom": "the file has no DICOM preamble (PS3.10 7.1)",
    "truncated": "the file ends within an element",
    "too_many_elements": "the file has more elements than a CT image",
    "too_deep": "the file has sequences nested deeper than a CT image",
    "no_transfer_syntax": "the file meta information has no TransferSyntaxUID",
    "unsupported_transfer_syntax": "its transfer syntax is not received; send it uncompressed",
    "unsupported_sop_class": "its SOP class is no CT image",
    "invalid_uid": "study, series, instance or class UID is absent or malformed",
    "meta_differs": "SOP class or instance UID differs from message or file meta",
    "no_pixel_data": "the CT image has no PixelData",
    "other_study": "the instance is of another study than the request names",
}


class UnreadableInstance(Exception):
    """An instance is refused; `detail` fits into an ErrorComment.

    sop_class_uid, sop_instance_uid : as far as they were read; empty else
    """

    def __init__(self, code: UnreadableCode, sop_class_uid: str = "", sop_instance_uid: str = "") -> None:
        super().__init__(DETAILS[code])
        self.code = code
        self.detail = DETAILS[code]
        self.sop_class_uid, self.sop_instance_uid = sop_class_uid, sop_instance_uid

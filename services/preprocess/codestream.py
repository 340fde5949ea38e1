"""Checks a compressed frame before it is decoded."""

from struct import error as StructError  # noqa: N812 - a class, which struct spells in lower case
from struct import unpack_from
from typing import Final

from pydicom.uid import RLELossless

from services.preprocess.errors import UnreadableFile
from services.preprocess.header import JPEG_2000, FrameFormat

_END_OF_IMAGE: Final = b"\xff\xd9"
_PADDING: Final = b"\0\xff"  # to an even length (PS3.5 A.4), sometimes with JPEG's fill byte
_NOT_A_FRAME: Final = frozenset({0xC4, 0xC8, 0xCC})  # among the markers C0..CF (ITU-T T.81 table B.1)
_JPEG_LS_FRAME: Final = 0xF7


def check_codestream(codestream: bytes, frame_format: FrameFormat) -> None:
    """Check the size and end of a JPEG of any kind, before a decoder trusts them; RLE states neither.

    Raises
    ------
    UnreadableFile
        the compressed bytes are truncated, or belong to another image than the header describes
    """
    if frame_format.transfer_syntax == RLELossless:
        return
    if not codestream.rstrip(_PADDING).endswith(_END_OF_IMAGE):
        raise UnreadableFile("truncated")
    size = _jpeg_2000_size if frame_format.transfer_syntax in JPEG_2000 else _jpeg_size
    try:
        agrees = size(codestream) == (frame_format.rows, frame_format.columns, 1)
    except (StructError, ValueError):
        agrees = False
    if not agrees:
        raise UnreadableFile("corrupt_pixels")


def _jpeg_size(codestream: bytes) -> tuple[int, int, int]:
    """Rows, columns and components from the frame header (ITU-T T.81 B.2.2, T.87 C.2.2)."""
    at = 2
    while True:
        start, marker, length = unpack_from(">BBH", codestream, at)
        if start != 0xFF:  # noqa: PLR2004 - the first byte of every marker
            raise ValueError("no marker")
        if marker == _JPEG_LS_FRAME or (0xC0 <= marker <= 0xCF and marker not in _NOT_A_FRAME):  # noqa: PLR2004
            rows, columns, components = unpack_from(">HHB", codestream, at + 5)
            return rows, columns, components
        at += 2 + length


def _jpeg_2000_size(codestream: bytes) -> tuple[int, int, int]:
    """Rows, columns and components from the SIZ segment (ITU-T T.800 A.5.1)."""
    at = codestream.index(b"\xff\x4f\xff\x51")
    right, bottom, left, top = unpack_from(">4L", codestream, at + 8)
    (components,) = unpack_from(">H", codestream, at + 40)
    return bottom - top, right - left, components

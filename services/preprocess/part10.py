"""How a DICOM file begins: preamble, file meta information and transfer syntax (PS3.10 chapter 7, PS3.5 annex A)."""

from struct import unpack
from typing import Final

from services.preprocess.elements import Element, Encoding, Ended, Reader
from services.preprocess.failures import Unreadable
from services.preprocess.fields import Fields

IMPLICIT: Final = "1.2.840.10008.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
NATIVE: Final = frozenset({IMPLICIT, EXPLICIT, BIG_ENDIAN})
JPEG: Final = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70))
JPEG_LS: Final = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (80, 81))
JPEG_2000: Final = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203))
RLE: Final = "1.2.840.10008.1.2.5"
JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
SUPPORTED: Final = NATIVE | JPEG | JPEG_LS | JPEG_2000 | {RLE}


def first_element(data: memoryview) -> int:
    """Where the first element stands: after the preamble (PS3.10 7.1), or at once in files that lack it."""
    if bytes(data[128:132]) == b"DICM":
        return 132
    explicit = bytes(data[4:6]).isalpha() and bytes(data[4:6]).isupper()
    implicit = len(data) >= 8 and int.from_bytes(data[4:8], "little") <= 64  # noqa: PLR2004 - the longest UID
    known = bytes(data[:2]) in (b"\x02\x00", b"\x08\x00") or (bytes(data[:2]) == b"\x00\x08" and explicit)
    if not (known and (explicit or implicit)):
        raise Unreadable("not_dicom")
    return 0


def file_meta(data: memoryview, start: int) -> tuple[Fields, int]:
    """The group 0002 (always explicit little endian), and where the data set begins."""
    reader = Reader(data, Encoding(explicit=True, little=True))
    found: dict[int, Element] = {}
    while bytes(data[start : start + 2]) == b"\x02\x00":
        element = next(reader.elements(start, len(data)))
        found[element.tag] = element
        start = element.stop + 8 * element.undefined
    return Fields(reader, found), start


def encoding_of(syntax: str, data: memoryview, start: int, *, foreign: bool) -> tuple[str, Encoding]:
    """The transfer syntax and what it means; a file that names none, or names the wrong VR, is looked at."""
    if len(data) < start + 8:
        raise Ended
    vr = bytes(data[start + 4 : start + 6])
    explicit = vr.isalpha() and vr.isupper()
    if syntax not in SUPPORTED and syntax:
        raise Unreadable("not_a_ct_slice" if foreign else "unsupported_syntax")
    if not syntax:
        (group,) = unpack("<H", data[start : start + 2])
        big = explicit and group >= 0x0400  # noqa: PLR2004 - group 0008 or 0010 with its bytes swapped
        syntax = BIG_ENDIAN if big else EXPLICIT if explicit else IMPLICIT
    return syntax, Encoding(explicit=explicit, little=syntax != BIG_ENDIAN)

"""Reads a data set whose elements are plain: each has a known VR and a defined length, and its value is all there.

Most files are so up to their pixels. pydicom's reader takes several times as long for them, and reads all others.
"""

from collections.abc import Callable, Iterator, Set
from struct import Struct
from typing import Final, NamedTuple

from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import VR

UNDEFINED_LENGTH: Final = 0xFFFFFFFF
_EXPLICIT, _IMPLICIT, _LONG = Struct("<HH2sH"), Struct("<HHL"), Struct("<L")
_SHORT_HEAD, _LONG_HEAD = 8, 12  # bytes before the value (PS3.5 7.1.2, 7.1.3)
_LONG_VRS: Final = {VR.OB, VR.OD, VR.OF, VR.OL, VR.OV, VR.OW, VR.SQ, VR.SV, VR.UC, VR.UN, VR.UR, VR.UT, VR.UV}
_VRS: Final = {vr.encode(): (str(vr), vr in _LONG_VRS) for vr in VR if len(vr) == len("US")}
_DELIMITERS: Final = 0xFFFE0000  # tags of items and delimiters
_CHARACTER_SET: Final = 0x00080005
_ENCODINGS: Final = {
    value: convert_encodings(value.decode()) for value in (b"ISO_IR 6", b"ISO_IR 100", b"ISO_IR 101", b"ISO_IR 192")
}
_DEFAULT_ENCODING: Final = "iso8859"


class Limits(NamedTuple):
    """The most reads that pydicom may take, and the most bytes of a value that are returned."""

    reads: int
    value_bytes: int


class PlainElements(NamedTuple):
    """The elements before the one that ended the reading.

    reads : that pydicom would have needed
    end_at : offset of the element that ended the reading
    value_at, length : of that element
    """

    dataset: Dataset
    reads: int
    end_at: int
    value_at: int
    length: int


def read_plain_elements(
    data: memoryview,
    at: int,
    *,
    implicit: bool,
    ends_at: Callable[[int], bool],
    tags: Set[int],
    limits: Limits,
) -> PlainElements | None:
    """Read little-endian elements from byte `at` until a tag for which `ends_at` is true.

    Parameters
    ----------
    tags : of the elements to return; empty for all

    Returns
    -------
    None where an element is not plain, or the bytes or reads end before such a tag
    """
    found: dict[BaseTag, RawDataElement] = {}
    reads, end_at, size = 2, at, len(data)
    for tag, vr, head_reads, value_at, length in _implicit(data, at) if implicit else _explicit(data, at):
        reads += head_reads
        if reads > limits.reads or tag >= _DELIMITERS:
            return None
        if ends_at(tag):
            dataset = _dataset(found, implicit=implicit)
            return PlainElements(dataset, reads, end_at, value_at, length) if dataset is not None else None
        end_at = value_at + length
        if length == UNDEFINED_LENGTH or end_at > size:
            return None
        if not tags or tag in tags or tag == _CHARACTER_SET:
            reads += length > 0
            value = bytes(data[value_at : min(end_at, value_at + limits.value_bytes)]) if length else _empty(vr)
            key = BaseTag(tag)
            found[key] = RawDataElement(key, vr, length, value, value_at, implicit, is_little_endian=True)
    return None


def _explicit(data: memoryview, at: int) -> Iterator[tuple[int, str | None, int, int, int]]:
    """Elements with an explicit VR (PS3.5 7.1.2): tag, VR, reads of the head, offset and length of the value."""
    last = len(data) - _LONG_HEAD
    while at <= last:
        group, element, encoded, length = _EXPLICIT.unpack_from(data, at)
        if encoded not in _VRS:
            return
        vr, is_long = _VRS[encoded]
        at += _SHORT_HEAD
        if is_long:
            (length,) = _LONG.unpack_from(data, at)
            at += 4
        yield group << 16 | element, vr, 1 + is_long, at, length
        at += length


def _implicit(data: memoryview, at: int) -> Iterator[tuple[int, str | None, int, int, int]]:
    """Elements with an implicit VR (PS3.5 7.1.3); none where the first one has an explicit VR."""
    first, last = bytes(data[at + 4 : at + 6]), len(data) - _SHORT_HEAD
    if all(0x40 < letter < 0x5B for letter in first):  # noqa: PLR2004 - capitals, as pydicom checks them
        return
    while at <= last:
        group, element, length = _IMPLICIT.unpack_from(data, at)
        at += _SHORT_HEAD
        yield group << 16 | element, None, 1, at, length
        at += length


def _empty(vr: str | None) -> bytes | None:
    return empty_value_for_VR(vr, raw=True)  # type: ignore[return-value]


def _dataset(found: dict[BaseTag, RawDataElement], *, implicit: bool) -> Dataset | None:
    """As pydicom makes it; None for a character set that it might warn about."""
    encoding: str | list[str] = _DEFAULT_ENCODING
    if character_set := found.get(BaseTag(_CHARACTER_SET)):
        stated = (character_set.value or b"").rstrip(b" ")
        if character_set.VR not in (None, "CS") or stated not in _ENCODINGS:
            return None
        encoding = _ENCODINGS[stated]
    dataset = Dataset({**found}, parent_encoding=_DEFAULT_ENCODING)
    dataset.set_original_encoding(is_implicit_vr=implicit, is_little_endian=True, character_encoding=encoding)
    return dataset

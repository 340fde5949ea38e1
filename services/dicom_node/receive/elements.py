"""Walks over the elements of a DICOM data set (PS3.5 7.1) without reading values, recursion or warnings.

pydicom reads the items of a sequence of undefined length to find its end: a kilobyte of objects for eight bytes, a
RecursionError for nested items, and warnings that quote values. Only positions are followed here, and counted.
"""

from mmap import mmap
from struct import unpack_from
from typing import Final, NamedTuple

from services.dicom_node.receive.unreadable import UnreadableInstance

UNDEFINED_LENGTH: Final = 0xFFFFFFFF
ITEM: Final = 0xFFFEE000
_ITEM_END, _SEQUENCE_END = 0xFFFEE00D, 0xFFFEE0DD
_LONG: Final = frozenset(  # value representations with a length of 32 bits (PS3.5 7.1.2)
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_MAX_ELEMENTS: Final = 400_000  # three times those of an enhanced CT of 2,000 frames; half a second of work
_MAX_OPEN: Final = 64  # sequences and items within each other; a CT has about ten, pydicom ends at some hundred
_MAX_VALUE_BYTES: Final = 4096


class Encoding(NamedTuple):
    """Of a transfer syntax."""

    implicit: bool
    little_endian: bool


IMPLICIT: Final = Encoding(implicit=True, little_endian=True)
EXPLICIT: Final = Encoding(implicit=False, little_endian=True)


class Element(NamedTuple):
    """The header of an element; `at` is where its value begins, in bytes."""

    tag: int
    vr: bytes
    at: int
    length: int


class ElementReader:
    """Reads element headers of a file in memory.

    All methods raise UnreadableInstance where the file ends early, or has more or deeper elements than any CT.
    """

    def __init__(self, data: mmap) -> None:
        self.data = data
        self._left = _MAX_ELEMENTS

    def element(self, at: int, encoding: Encoding) -> Element:
        """The element that begins at byte `at`."""
        self._left -= 1
        if self._left < 0:
            raise UnreadableInstance("too_many_elements")
        if at + 8 > len(self.data):
            raise UnreadableInstance("truncated")
        order = "<" if encoding.little_endian else ">"
        group, number = unpack_from(f"{order}HH", self.data, at)
        tag = group << 16 | number
        if encoding.implicit or group == ITEM >> 16:
            return Element(tag, b"", at + 8, unpack_from(f"{order}I", self.data, at + 4)[0])
        vr = self.data[at + 4 : at + 6]
        if vr not in _LONG:
            return Element(tag, vr, at + 8, unpack_from(f"{order}H", self.data, at + 6)[0])
        if at + 12 > len(self.data):
            raise UnreadableInstance("truncated")
        return Element(tag, vr, at + 12, unpack_from(f"{order}I", self.data, at + 8)[0])

    def end(self, element: Element, encoding: Encoding) -> int:
        """The byte after an element, with all of its nested items where its length is undefined."""
        if element.length != UNDEFINED_LENGTH:
            return self._within(element.at + element.length)
        at, open_elements = element.at, [_nested(element, encoding)]
        while open_elements:
            found = self.element(at, open_elements[-1])
            at = found.at
            if found.tag in (_ITEM_END, _SEQUENCE_END):
                open_elements.pop()
            elif found.length == UNDEFINED_LENGTH:
                open_elements.append(_nested(found, open_elements[-1]))
                if len(open_elements) > _MAX_OPEN:
                    raise UnreadableInstance("too_deep")
            else:
                at = self._within(at + found.length)
        return at

    def first_item(self, sequence: Element, encoding: Encoding) -> tuple[int, int] | None:
        """The bytes of a sequence's first item, from and to; None where it has none."""
        if not sequence.length:
            return None
        item = self.element(sequence.at, encoding)
        if item.tag != ITEM:
            return None
        return item.at, self.end(item, encoding)

    def value(self, element: Element) -> bytes:
        """The value of an element; empty where it is longer than any that is used."""
        if element.length > _MAX_VALUE_BYTES:
            return b""
        return self.data[element.at : self._within(element.at + element.length)]

    def _within(self, at: int) -> int:
        if at > len(self.data):
            raise UnreadableInstance("truncated")
        return at


def _nested(element: Element, encoding: Encoding) -> Encoding:
    """How items are encoded: in UN of undefined length always implicitly (PS3.5 6.2.2, note 4)."""
    return IMPLICIT if element.vr == b"UN" else encoding

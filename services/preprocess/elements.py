"""The bytes of a DICOM data set as elements (PS3.5 chapter 7), without recursion, inflation or conversion.

pydicom reads more dialects and turns values into objects on the way. On hostile files that costs a gigabyte (deflated)
or a RecursionError (nested sequences), and on odd ones it warns in words that hold the value. Here an element is a
pair of offsets: nothing is copied, nothing is logged, and every step of the walk is counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class, which struct spells in lower case
from typing import Final, NamedTuple

from services.preprocess import tags

# Enough for 2,000 frames of an enhanced CT; a hostile file of tiny elements costs a second or two before it ends.
MAX_ELEMENTS: Final = 1_000_000

ITEM: Final = 0xFFFEE000
ITEM_END: Final = 0xFFFEE00D
SEQUENCE_END: Final = 0xFFFEE0DD
PIXELS: Final = frozenset({tags.FLOAT_PIXEL_DATA, tags.DOUBLE_FLOAT_PIXEL_DATA, tags.PIXEL_DATA})
_DELIMITERS: Final = 0xFFFE
_UNDEFINED: Final = 0xFFFFFFFF
_LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # 32-bit lengths, PS3.5 table 7.1-1


class Ended(Exception):
    """The bytes end inside an element."""


class TooManyElements(Exception):
    """More elements than any CT header has."""


class Element(NamedTuple):
    """A tag, and where its value stands. `undefined` marks a length that only a delimiter ends."""

    tag: int
    start: int
    stop: int
    undefined: bool


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written (PS3.5 annex A)."""

    explicit: bool
    little: bool


@dataclass(slots=True)
class Reader:
    """Walks over one file's bytes; `left` counts down over all its walks together."""

    data: memoryview
    encoding: Encoding
    left: int = MAX_ELEMENTS

    def elements(self, start: int, stop: int) -> Iterator[Element]:
        """The elements of a data set, one level deep; the pixel data is the last one that is yielded.

        Raises
        ------
        Ended
            `stop` lies inside an element
        TooManyElements
            the file holds more than `MAX_ELEMENTS`
        """
        while start < stop:
            element = self._header(start)
            if element.tag in PIXELS:
                yield element
                return
            if element.tag == ITEM_END:
                return
            if element.undefined:
                element = element._replace(stop=self._delimiter(element.start))
            if element.stop > stop:
                raise Ended
            yield element
            start = element.stop + 8 * element.undefined

    def items(self, sequence: Element) -> Iterator[dict[int, Element]]:
        """The items of a sequence (PS3.5 7.5), each as its elements by tag."""
        start = sequence.start
        while start < sequence.stop:
            item = self._header(start)
            if item.tag != ITEM:
                return
            elements, end = {}, item.start
            for element in self.elements(item.start, sequence.stop if item.undefined else item.stop):
                elements[element.tag] = element
                end = element.stop + 8 * element.undefined
            yield elements
            start = end + 8 if item.undefined else item.stop

    def fragments(self, pixels: Element) -> Iterator[memoryview]:
        """The items of encapsulated pixel data (PS3.5 A.4): the offset table, then the fragments."""
        start = pixels.start
        while start < len(self.data):
            item = self._header(start)
            if item.tag != ITEM or item.undefined:
                return
            if item.stop > len(self.data):
                raise Ended
            yield self.data[item.start : item.stop]
            start = item.stop

    def _header(self, start: int) -> Element:
        self.left -= 1
        if self.left < 0:
            raise TooManyElements
        short, long = _LITTLE if self.encoding.little else _BIG
        try:
            group, number, vr, length = short.unpack_from(self.data, start)
            value = start + 8
            # A delimiter has no VR, nor have sequences that some writers put in implicit VR into an explicit file.
            if not self.encoding.explicit or group == _DELIMITERS or not (vr.isalpha() and vr.isupper()):
                (length,) = long.unpack_from(self.data, start + 4)
            elif vr in _LONG:
                (length,) = long.unpack_from(self.data, start + 8)
                value = start + 12
        except StructError:
            raise Ended from None
        return Element(group << 16 | number, value, value + length, length == _UNDEFINED)

    def _delimiter(self, start: int) -> int:
        """Where the delimiter stands that ends a value of undefined length: a count of depth, not a recursion."""
        depth = 1
        while True:
            element = self._header(start)
            depth += (element.undefined and element.tag != ITEM) - (element.tag == SEQUENCE_END)
            if depth == 0:
                return start
            opens = element.undefined or element.tag in (ITEM_END, SEQUENCE_END)
            start = element.start if opens else element.stop


_LITTLE: Final = (Struct("<HH2sH"), Struct("<L"))
_BIG: Final = (Struct(">HH2sH"), Struct(">L"))

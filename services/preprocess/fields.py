"""Elements as values, without pydicom's conversion: what cannot be read as asked counts as absent."""

from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from struct import calcsize, unpack

from services.preprocess.elements import Element, Reader


@dataclass(frozen=True, slots=True)
class Fields:
    """Elements of one data set as values. What cannot be read as asked counts as absent (PS3.5 6.2)."""

    reader: Reader
    elements: Mapping[int, Element]

    @property
    def last(self) -> Element | None:
        """The element at which the data set, or what is at hand of it, ends."""
        return next(reversed(list(self.elements.values())), None)

    def texts(self, tag: int, most: int = 1024) -> tuple[str, ...]:
        element = self.elements.get(tag)
        if element is None or element.undefined:
            return ()
        value = bytes(self.reader.data[element.start : min(element.stop, element.start + most)])
        return tuple(part.strip(" \0") for part in value.decode("latin-1").split("\\"))

    def text(self, tag: int) -> str:
        return next(iter(self.texts(tag)), "")

    def numbers(self, tag: int, count: int) -> tuple[float, ...] | None:
        """The first `count` decimal strings; None unless all of them are finite numbers."""
        try:
            found = tuple(float(part) for part in self.texts(tag)[:count])
        except ValueError:
            return None
        return found if len(found) == count and all(map(isfinite, found)) else None

    def number(self, tag: int) -> float | None:
        found = self.numbers(tag, 1)
        return found[0] if found else None

    def short(self, tag: int) -> int | None:
        """An unsigned 16-bit value (US), or the bits of a signed one (SS)."""
        element = self.elements.get(tag)
        value = bytes(self.reader.data[element.start : min(element.stop, element.start + 2)]) if element else b""
        unsigned_short = "<H" if self.reader.encoding.little else ">H"
        return int(unpack(unsigned_short, value)[0]) if len(value) == calcsize(unsigned_short) else None

    def items(self, tag: int) -> Iterator["Fields"]:
        element = self.elements.get(tag)
        found = self.reader.items(element) if element else ()
        return (Fields(self.reader, item) for item in found)

    def over(self, lower: "Fields") -> "Fields":
        return Fields(self.reader, ChainMap(dict(self.elements), dict(lower.elements)))

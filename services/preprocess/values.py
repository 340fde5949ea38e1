"""Values of a pydicom data set by keyword. What cannot be read as asked counts as absent (PS3.5 6.2).

The commonest kinds are read here: pydicom's own way costs as much as the slice's pixels, and holds the interpreter.
"""

from functools import cache
from math import isfinite
from typing import Any, Final, cast

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

# As these data sets are read, without SpecificCharacterSet, pydicom takes no other repertoire either (PS3.5 6.1.2.1).
_TEXT: Final = frozenset({"CS", "DS", "LO", "SH", "UI"})
_SHORT_BYTES: Final = 2


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    return tuple(value.strip(" \0") for value in _values(dataset, keyword) if isinstance(value, str))


def text(dataset: Dataset, keyword: str) -> str:
    return next(iter(texts(dataset, keyword)), "")


def numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """The first `count` numbers; None unless all of them are there and finite."""
    try:
        found = tuple(float(value) for value in _values(dataset, keyword)[:count])
    except (TypeError, ValueError, OverflowError):
        return None
    return found if len(found) == count and all(map(isfinite, found)) else None


def number(dataset: Dataset, keyword: str) -> float | None:
    found = numbers(dataset, keyword, 1)
    return found[0] if found else None


def short(dataset: Dataset, keyword: str) -> int | None:
    """An unsigned 16-bit value (US), or the bits of a signed one (SS)."""
    value = next(iter(_values(dataset, keyword)), None)
    return value & 0xFFFF if isinstance(value, int) else None


def binary(dataset: Dataset, keyword: str) -> bytes:
    value = next(iter(_values(dataset, keyword)), None)
    return value if isinstance(value, bytes) else b""


def _values(dataset: Dataset, keyword: str) -> tuple[Any, ...]:
    tag, vr = _dictionary(keyword)
    element = cast("DataElement | RawDataElement | None", dataset.get_item(tag))
    if isinstance(element, RawDataElement):
        vr = element.VR or vr
        if vr in _TEXT:
            return tuple((element.value or b"").decode("latin-1").split("\\"))
        if vr == "US" and element.length == _SHORT_BYTES and element.value:
            return (int.from_bytes(element.value, "little" if element.is_little_endian else "big"),)
    return _by_pydicom(dataset, keyword)


@cache
def _dictionary(keyword: str) -> tuple[BaseTag, str]:
    tag = Tag(keyword)
    return tag, dictionary_VR(tag)


def _by_pydicom(dataset: Dataset, keyword: str) -> tuple[Any, ...]:
    try:
        found = dataset.get(keyword)
    except Exception:  # noqa: BLE001 - whatever pydicom says of a malformed value, its words stay here
        return ()
    return tuple(found) if isinstance(found, list | MultiValue) else (found,)

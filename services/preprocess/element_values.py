"""Values of a pydicom data set by keyword. An unreadable value is an error, never absent.

The most frequent value representations are read here: pydicom's conversion takes as long as decoding the pixels, and
holds the interpreter's lock.
"""

from functools import cache
from typing import Any, Final, cast

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from services.preprocess.errors import UnreadableFile

MAX_MAGNITUDE: Final = 1e10  # above any number of a CT; results of smaller numbers stay finite in 32 bits
# SpecificCharacterSet is not read, so pydicom uses the default repertoire too (PS3.5 6.1.2.1).
_TEXT: Final = frozenset({"CS", "DS", "IS", "LO", "SH", "UI"})
_SHORT_BYTES: Final = 2
_LOWEST_SHORT, _HIGHEST_SHORT = -(1 << 15), (1 << 16) - 1
_BLANK: Final = " \t\r\n\0"


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    return tuple(value.strip(" \0") for value in _or_none(dataset, keyword) if isinstance(value, str))


def text(dataset: Dataset, keyword: str) -> str:
    return next(iter(texts(dataset, keyword)), "")


def numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """The numbers of a tag; None where it is absent or empty. A decimal comma is read as a point.

    Raises
    ------
    UnreadableFile
        the value is not `count` numbers from -MAX_MAGNITUDE to MAX_MAGNITUDE
    """
    try:
        values = _values(dataset, keyword)
        found = None if all(map(_is_blank, values)) else tuple(map(_number, values))
    except (TypeError, ValueError, OverflowError):
        raise UnreadableFile("unreadable_tag", keyword) from None
    if found and (len(found) != count or not all(-MAX_MAGNITUDE <= value <= MAX_MAGNITUDE for value in found)):
        raise UnreadableFile("unreadable_tag", keyword)
    return found


def number(dataset: Dataset, keyword: str) -> float | None:
    """The single number of a tag; see `numbers`."""
    found = numbers(dataset, keyword, 1)
    return found[0] if found else None


def readable_number(dataset: Dataset, keyword: str) -> float | None:
    """The single number of a tag that pixels and order do not depend on; None also where it is unreadable."""
    try:
        return number(dataset, keyword)
    except UnreadableFile:
        return None


def integer(dataset: Dataset, keyword: str) -> int | None:
    """The single whole number of a tag; None where it is absent or empty, UnreadableFile for any other value."""
    found = number(dataset, keyword)
    if found is None:
        return None
    if not found.is_integer():
        raise UnreadableFile("unreadable_tag", keyword)
    return int(found)


def unsigned_short(dataset: Dataset, keyword: str) -> int | None:
    """An unsigned 16-bit value (US), or the bits of a signed one (SS); None where it is absent or empty.

    Raises
    ------
    UnreadableFile
        the value is of any other kind
    """
    try:
        values = _values(dataset, keyword)
    except ValueError:
        raise UnreadableFile("unreadable_tag", keyword) from None
    if all(map(_is_blank, values)):
        return None
    (value, *more) = values
    if more or not isinstance(value, int) or not _LOWEST_SHORT <= value <= _HIGHEST_SHORT:
        raise UnreadableFile("unreadable_tag", keyword)
    return value & _HIGHEST_SHORT


def binary(dataset: Dataset, keyword: str) -> bytes:
    value = next(iter(_or_none(dataset, keyword)), None)
    return value if isinstance(value, bytes) else b""


def stored_bytes(dataset: Dataset, keywords: tuple[str, ...]) -> tuple[bytes, ...]:
    """The values of tags as stored in the file; empty where they are absent or were converted."""
    elements = dataset._dict  # noqa: SLF001
    return tuple(_stored(elements.get(tag)) for tag in _tags(keywords))


def _stored(element: DataElement | RawDataElement | None) -> bytes:
    return (element.value or b"") if isinstance(element, RawDataElement) else b""


@cache
def _tags(keywords: tuple[str, ...]) -> tuple[BaseTag, ...]:
    return tuple(_dictionary(keyword)[0] for keyword in keywords)


def _is_blank(value: object) -> bool:
    return value in (None, b"") or (isinstance(value, str) and not value.strip(_BLANK))


def _number(value: Any) -> float:
    """As a float. Python accepts underscores between digits; DICOM does not (PS3.5 6.2)."""
    if not isinstance(value, str):
        return float(value)
    if "_" in value:
        raise ValueError
    try:
        return float(value)
    except ValueError:
        return float(value.strip(_BLANK).replace(",", "."))


def _or_none(dataset: Dataset, keyword: str) -> tuple[Any, ...]:
    try:
        return _values(dataset, keyword)
    except ValueError:
        return ()


def _values(dataset: Dataset, keyword: str) -> tuple[Any, ...]:
    """The values unconverted; none where the tag is absent; ValueError where pydicom cannot read them."""
    tag, vr = _dictionary(keyword)
    # `get_item` makes a tag of a tag, in half of the time of all values; it is needed for empty values only.
    element = dataset._dict.get(tag)  # noqa: SLF001
    if element is None:
        return ()
    if isinstance(element, RawDataElement) and element.value is None:
        element = cast("DataElement | RawDataElement", dataset.get_item(tag))
    if isinstance(element, RawDataElement) and element.value is not None:
        vr = element.VR or vr
        if vr in _TEXT:
            return tuple(element.value.decode("latin-1").split("\\"))
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
    except Exception:  # noqa: BLE001 - boundary: pydicom's message may quote the value
        raise ValueError from None
    return tuple(found) if isinstance(found, list | MultiValue) else (found,)

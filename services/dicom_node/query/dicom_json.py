"""Reads the DICOM JSON model (PS3.18 F) without trust in its form."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydicom.datadict import tag_for_keyword

Item = Mapping[str, Any]


class InvalidJson(ValueError):
    """A body is no DICOM JSON."""


def read_items(body: bytes) -> list[Item]:
    """The data sets of a response; InvalidJson where it is no list of objects, or one object."""
    try:
        document = json.loads(body or b"[]")
    except (ValueError, RecursionError) as error:
        raise InvalidJson from error
    items = document if isinstance(document, list) else [document]
    if not all(isinstance(item, dict) for item in items):
        raise InvalidJson
    return items


def texts(item: Item, keyword: str) -> tuple[str, ...]:
    """The values of an attribute as text; sequences and names of persons have none."""
    return tuple(str(value) for value in _values(item, keyword) if isinstance(value, str | int | float))


def sequence(item: Item, keyword: str) -> Iterator[Item]:
    """The items of a sequence."""
    return (value for value in _values(item, keyword) if isinstance(value, dict))


def values(item: Item, keywords: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Values as text by keyword, without absent ones."""
    return {keyword: found for keyword in keywords if (found := texts(item, keyword))}


def _values(item: Item, keyword: str) -> Sequence[Any]:
    element = item.get(f"{tag_for_keyword(keyword):08X}")
    found = element.get("Value") if isinstance(element, dict) else None
    return found if isinstance(found, list) else ()

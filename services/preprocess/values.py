"""Values of a pydicom data set by keyword. What cannot be read as asked counts as absent (PS3.5 6.2)."""

from math import isfinite
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue


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
    try:
        found = dataset.get(keyword)
    except Exception:  # noqa: BLE001 - whatever pydicom says of a malformed value, its words stay here
        return ()
    return tuple(found) if isinstance(found, list | MultiValue) else (found,)

"""The content tree of an SR document as lines for a terminal."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap
from typing import Any, Final

from pydicom import Dataset

_INDENT: Final = "  "
_BARS: Final = "▁▂▃▄▅▆▇█"
_WIDTH: Final = 100
_FEW: Final = 3
_HIDDEN: Final = ("IMAGE", "UIDREF", "COMPOSITE")


def sr_lines(document: Dataset) -> Iterator[str]:
    """Yield a line for each item; the numbers of many slices are one line with a bar for each."""
    yield meaning(document.ConceptNameCodeSequence)
    yield from _items(document.ContentSequence, 1)


def meaning(sequence: Sequence[Dataset]) -> str:
    """The meaning of the only code of a sequence."""
    return str(sequence[0].CodeMeaning)


def values(item: Dataset, value_type: str) -> Iterator[Dataset]:
    """Yield all items of a value type below an item, in the order of the tree."""
    for child in item.get("ContentSequence", ()):
        if child.ValueType == value_type:
            yield child
        yield from values(child, value_type)


def _items(items: Sequence[Dataset], depth: int) -> Iterator[str]:
    shown = [item for item in items if item.ValueType not in _HIDDEN]
    for (_, name, _), group in groupby(shown, _kind):
        same = list(group)
        if same[0].ValueType == "NUM" and len(same) > _FEW:
            yield from _lines(name, _bars([_number(item) for item in same]), depth)
        else:
            yield from _siblings(name, same, depth)


def _siblings(name: str, same: Sequence[Dataset], depth: int) -> Iterator[str]:
    """Yield lines of items with the same name; those below a container that the first one has are not repeated."""
    first: set[str] = set()
    for item in same:
        yield from _lines(name, _value(item), depth)
        lines = list(_items(item.get("ContentSequence", ()), depth + 1))
        yield from (line for line in lines if line not in first)
        first = first or set(lines)


def _kind(item: Dataset) -> tuple[str, str, bool]:
    """Value type, name, and whether it has items below it: a number of a slice refers to its image."""
    name = meaning(item.ConceptNameCodeSequence) if "ConceptNameCodeSequence" in item else ""
    return item.ValueType, name, "ContentSequence" in item


def _lines(name: str, value: str, depth: int) -> list[str]:
    indent = _INDENT * depth
    text = f"{name}{': ' if value else ''}{value}"
    return wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent + 2 * _INDENT)


def _value(item: Dataset) -> str:
    texts: dict[str, Any] = {
        "CODE": lambda: meaning(item.ConceptCodeSequence),
        "NUM": lambda: f"{_number(item):.4f}",
        "TEXT": lambda: " ".join(str(item.TextValue).split()),
        "PNAME": lambda: str(item.PersonName),
        "DATE": lambda: str(item.Date),
        "DATETIME": lambda: str(item.DateTime),
    }
    return str(texts[item.ValueType]()) if item.ValueType in texts else ""


def _number(item: Dataset) -> float:
    return float(item.MeasuredValueSequence[0].NumericValue)


def _bars(numbers: Sequence[float]) -> str:
    bars = "".join(_BARS[min(len(_BARS) - 1, int(max(number, 0) * len(_BARS)))] for number in numbers)
    return f"{bars}  {len(numbers)} slices, {min(numbers):.4f} to {max(numbers):.4f}"

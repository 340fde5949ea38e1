"""The content tree of an SR document as lines for a terminal."""

from collections.abc import Iterator, Sequence
from itertools import groupby
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
    for key, group in groupby(shown, _kind):
        same = list(group)
        if key[0] == "NUM" and len(same) > _FEW:
            yield _line(key[1], _bars([_number(item) for item in same]), depth)
            continue
        for item in same:
            yield _line(key[1], _value(item), depth)
            yield from _items(item.get("ContentSequence", ()), depth + 1)


def _kind(item: Dataset) -> tuple[str, str]:
    return item.ValueType, meaning(item.ConceptNameCodeSequence) if "ConceptNameCodeSequence" in item else ""


def _line(name: str, value: str, depth: int) -> str:
    text = f"{_INDENT * depth}{name}{': ' if value else ''}{value}"
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


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

"""Content negotiation by `Accept` and `Accept-Encoding` (RFC 9110, section 12.5)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


@dataclass(frozen=True, slots=True)
class _Range:
    """An element of the header, such as `text/*;q=0.5`; parameters other than the weight are ignored."""

    name: str
    weight: float


def best_match(header: str, offered: Sequence[str]) -> str | None:
    """Choose a representation; the server prefers the first. None where the header excludes all.

    The most specific matching element has the weight. Malformed elements are ignored.
    """
    if not header.strip():
        return offered[0]
    ranges = [found for element in header.split(",") if (found := _parse(element))]
    chosen = max(offered, key=lambda name: _weight(name, ranges))  # the first of equals
    return chosen if _weight(chosen, ranges) > 0 else None


def _weight(name: str, ranges: Sequence[_Range]) -> float:
    """The weight of a media type or coding in lower case, from 0 (not acceptable) to 1."""
    for pattern in (name, f"{name.partition('/')[0]}/*", "*/*", "*"):
        if weights := [found.weight for found in ranges if found.name == pattern]:
            return max(weights)
    return 0.0


def _parse(element: str) -> _Range | None:
    name, *parameters = (part.strip().lower() for part in element.split(";"))
    weights = [value.strip() for key, _, value in (part.partition("=") for part in parameters) if key.strip() == "q"]
    if not name or not all(_WEIGHT.fullmatch(weight) for weight in weights):
        return None
    return _Range(name, float(weights[0]) if weights else 1.0)

"""The midline of the head through a series, from the midlines of its slices. Pure, without NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import cos, radians, sin
from statistics import median
from typing import Final

from services.common.schemas import Midline

_AGREEING_DEG: Final = 8.0
_LEAST_AGREEING: Final = 0.5  # share of the slices' contrast
_LEAST_SLICES: Final = 3
_MAX_SLICES: Final = 60  # for the pairs of the fit
_LEAST_CONTRAST: Final = 0.25  # mean over the slices


@dataclass(frozen=True, slots=True)
class HeadMidline:
    """A plane: its angle in the picture, and its place across the picture at each position.

    The head is rigid, so that slices share the angle, and the place changes evenly with the position.
    """

    angle: float
    at_zero: float
    per_mm: float

    def across(self, row: float, column: float) -> float:
        """The place of a point of the picture across the midline's direction, in pixels."""
        return _across(row, column, self.angle)

    def place(self, position_mm: float) -> float:
        """The place of the midline in the slice at a position; places beyond it are further to the patient's left."""
        return self.at_zero + self.per_mm * position_mm


def head_midline(midlines: Sequence[Midline | None], position_mm: Sequence[float]) -> HeadMidline | None:
    """The plane that most slices agree on; None where too few do.

    The angle is the median, weighted by contrast. The place is a line through the slices by the median of the slopes
    of all pairs (Theil and Sen).
    """
    found = [(item, position) for item, position in zip(midlines, position_mm, strict=True) if item]
    weight = sum(item.contrast for item, _ in found)
    if len(found) < _LEAST_SLICES or weight < _LEAST_CONTRAST * len(found):
        return None
    angle_deg = _weighted_median([item for item, _ in found])
    agreeing = sum(item.contrast for item, _ in found if abs(item.angle_deg - angle_deg) <= _AGREEING_DEG)
    if agreeing < _LEAST_AGREEING * weight:
        return None
    angle = radians(angle_deg)
    places = [(position, _across(item.row, item.column, angle)) for item, position in found]
    per_mm = _slope(places[:: -(-len(places) // _MAX_SLICES)])
    return HeadMidline(angle, median(across - per_mm * position for position, across in places), per_mm)


def _across(row: float, column: float, angle: float) -> float:
    return column * cos(angle) - row * sin(angle)


def _weighted_median(items: Sequence[Midline]) -> float:
    ascending = sorted(items, key=lambda item: item.angle_deg)
    left = sum(item.contrast for item in items) / 2
    for item in ascending:
        left -= item.contrast
        if left <= 0:
            return item.angle_deg
    return ascending[-1].angle_deg


def _slope(places: Sequence[tuple[float, float]]) -> float:
    slopes = [
        (after - before) / (last - first)
        for (first, before), (last, after) in combinations(places, 2)
        if abs(last - first) > 1
    ]
    return median(slopes) if slopes else 0.0

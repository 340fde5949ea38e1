"""Where predicted labels are, in slices and sides, from the blood map and the head's midline. Pure, without NumPy."""

import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from typing import Final

from services.common.labels import LABELS, SUBTYPES, Label
from services.common.recipe import DEFAULT_RECIPE
from services.common.report_schemas import Location, ReportSlice, Side
from services.gateway.assessment import Assessment
from services.gateway.midline import HeadMidline, head_midline
from services.gateway.stages.network_requests import BloodRows, blood_row_bytes

_SHOWN: Final = 0.1  # least value of a cell that counts: the map is hardly ever 0
_ONE_SIDE: Final = 0.8
_NEAR_MIDLINE: Final = 30.0  # pixels of the picture: about 15 mm of a usual field of view
_WORDS: Final[dict[Side, str]] = {"left": "left", "right": "right", "midline": "midline", "both": "both sides"}


def find_locations(assessment: Assessment, slices: Sequence[ReportSlice]) -> dict[Label, Location]:
    """The location of each label that is predicted in a slice, for an assessment with a blood map."""
    assert assessment.blood  # noqa: S101 - for the type checker: the caller has checked
    rows = _Rows(assessment.blood, _midline(assessment))
    found, across = {}, rows.across()
    for label in LABELS:
        if predicted := [item for item in slices if item.predictions and item.predictions[label]]:
            found[label] = _location(rows, label, predicted, across)
    return found


def _midline(assessment: Assessment) -> HeadMidline | None:
    """The head's midline; None where rows of the picture do not run to the patient's left."""
    header = assessment.header
    marks = (header.geometries[item.geometry].marks if item.geometry is not None else None for item in header.items)
    if not all(found and (found.left, found.right) == ("R", "L") for found in marks):
        return None
    return head_midline([item.midline for item in assessment.evidence], header.position_mm)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Values of a series' blood map, and the head's midline."""

    blood: BloodRows
    midline: HeadMidline | None

    def cells(self, row: int, label: Label) -> Iterator[tuple[int, float]]:
        """Indices and values of the cells of a row that show blood; `any` has the highest of all subtypes."""
        size = blood_row_bytes(self.blood.grid)
        values = array("f", self.blood.data[row * size : (row + 1) * size])
        if sys.byteorder == "big":
            values.byteswap()
        planes = [values[number :: len(SUBTYPES)] for number in range(len(SUBTYPES))]
        chosen = map(max, *planes) if label == "any" else planes[SUBTYPES.index(label)]
        return ((cell, value) for cell, value in enumerate(chosen) if value >= _SHOWN)

    def across(self) -> tuple[float, ...]:
        """The place of each cell's centre across the midline's direction, in pixels; nothing without a midline."""
        if self.midline is None:
            return ()
        rows, columns = self.blood.grid
        height, width = DEFAULT_RECIPE.rows / rows, DEFAULT_RECIPE.columns / columns
        centres = product(range(rows), range(columns))
        return tuple(self.midline.across((row + 0.5) * height, (column + 0.5) * width) for row, column in centres)


@dataclass(slots=True)
class _Sides:
    """Blood on the patient's left, near the midline, and in all. A cell on the midline is shared."""

    cell_width: float
    left: float = 0.0
    near: float = 0.0
    total: float = 0.0

    def add(self, value: float, distance: float) -> None:
        """Add a cell, by the distance of its centre from the midline in pixels, positive on the left."""
        self.left += value * min(max(0.5 + distance / self.cell_width, 0.0), 1.0)
        self.near += value if abs(distance) <= _NEAR_MIDLINE else 0.0
        self.total += value

    def side(self) -> Side | None:
        """None without blood."""
        if not self.total:
            return None
        if self.left >= _ONE_SIDE * self.total:
            return "left"
        if self.left <= (1 - _ONE_SIDE) * self.total:
            return "right"
        return "midline" if self.near >= _ONE_SIDE * self.total else "both"


def _location(rows: _Rows, label: Label, predicted: Sequence[ReportSlice], across: Sequence[float]) -> Location:
    first, last = predicted[0].index, predicted[-1].index
    most, highest = None, 0.0
    sides = _Sides(DEFAULT_RECIPE.columns / rows.blood.grid[1])
    for number, group in groupby(predicted, lambda item: item.blood_row):
        own = list(group)
        middle = own[len(own) // 2]
        cells = list(rows.cells(number, label))
        amount = sum(value for _, value in cells)
        if amount > highest:
            most, highest = middle.index, amount
        if rows.midline:
            place = rows.midline.place(middle.position_mm)
            for cell, value in cells:
                sides.add(value * len(own), across[cell] - place)
    side = sides.side()
    return Location(first=first, last=last, most=most, side=side, text=_text(first, last, side))


def _text(first: int, last: int, side: Side | None) -> str:
    slices = f"slice {first + 1}" if first == last else f"slices {first + 1} to {last + 1}"
    return f"{_WORDS[side]}, {slices}" if side else slices

"""Where predicted labels are, in slices and sides, from the blood map and the head's midline. Pure, without NumPy."""

import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
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
    rows = _Rows(assessment.blood, slices, _midline(assessment))
    found = {}
    for label in LABELS:
        if predicted := [item for item in slices if item.predictions and item.predictions[label]]:
            found[label] = _location(rows, label, predicted)
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
    """Values of the blood map by the slices of a series."""

    blood: BloodRows
    slices: Sequence[ReportSlice]
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

    def left_share(self, cell: int, position_mm: float) -> tuple[float, float]:
        """The share of a cell on the patient's left, and the distance of its centre from the midline, in pixels."""
        assert self.midline  # noqa: S101 - for the type checker: the caller has checked
        rows, columns = self.blood.grid
        height, width = DEFAULT_RECIPE.rows / rows, DEFAULT_RECIPE.columns / columns
        row, column = divmod(cell, columns)
        left = self.midline.left_of((row + 0.5) * height, (column + 0.5) * width, position_mm)
        return min(max(0.5 + left / width, 0.0), 1.0), abs(left)


def _location(rows: _Rows, label: Label, predicted: Sequence[ReportSlice]) -> Location:
    first, last = predicted[0].index, predicted[-1].index
    most, highest = None, 0.0
    left = near = total = 0.0
    for number, group in groupby(predicted, lambda item: item.blood_row):
        own = list(group)
        middle = own[len(own) // 2]
        cells = list(rows.cells(number, label))
        amount = sum(value for _, value in cells)
        if amount > highest:
            most, highest = middle.index, amount
        for cell, value in cells if rows.midline else ():
            share, distance = rows.left_share(cell, middle.position_mm)
            left, total = left + share * value * len(own), total + value * len(own)
            near += value * len(own) if distance <= _NEAR_MIDLINE else 0
    side = _side(left / total, near / total) if total else None
    return Location(first=first, last=last, most=most, side=side, text=_text(first, last, side))


def _side(left: float, near: float) -> Side:
    if left >= _ONE_SIDE:
        return "left"
    if 1 - left >= _ONE_SIDE:
        return "right"
    return "midline" if near >= _ONE_SIDE else "both"


def _text(first: int, last: int, side: Side | None) -> str:
    slices = f"slice {first + 1}" if first == last else f"slices {first + 1} to {last + 1}"
    return f"{_WORDS[side]}, {slices}" if side else slices

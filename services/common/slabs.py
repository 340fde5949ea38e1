"""Slices thinner than a bundle learnt are averaged along z into slabs: which slices make which slab. Pure.

A slab is a range of slices that follow each other in anatomical order. Slabs are planned over the whole series from
its positions alone: neither chunks nor the order sent change them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import isfinite
from statistics import mean, median
from typing import Final

from services.common.acceptance import make_reason
from services.common.card import Card
from services.common.schemas import Reason, SeriesHeader

MAX_SLICES: Final = 32  # of one slab: 5 mm hold fewer, unless positions repeat; preprocess takes 64 a call
_UNITS_A_MM: Final = 10_000  # positions count in whole units, so that no rounding decides where a slab ends
_GAP: Final = 1.5  # times the steps around it: slices are missing there
_AROUND: Final = 3  # steps on either side that a step is compared with
_TWO_SLICES: Final = 1.05  # times a slab's thickness is what two slices may have: else every second slab has but one
_SAME_POSITION_MM: Final = 0.01


@dataclass(frozen=True, slots=True)
class SlabPlan:
    """The rows that the networks see of a series of n slices.

    rows : for each row the slices in it, in order; one slice each where nothing is averaged
    reasons : what the report says about the spacing
    note : what it says where rows are slabs
    """

    rows: tuple[range, ...]
    reasons: tuple[Reason, ...] = ()
    note: Reason | None = None

    @property
    def averaged(self) -> bool:
        """Whether rows are slabs."""
        return self.note is not None

    @property
    def row_of(self) -> tuple[int, ...]:
        """(n,), the row of each slice."""
        return tuple(number for number, row in enumerate(self.rows) for _ in row)

    def positions_mm(self, position_mm: Sequence[float]) -> tuple[float, ...]:
        """The mean position of each row's slices."""
        return tuple(mean(position_mm[row.start : row.stop]) for row in self.rows)

    def chunks(self, most_slices: int) -> Iterator[tuple[range, ...]]:
        """Rows in chunks of at most so many slices; a row that has more makes a chunk of its own."""
        chunk: list[range] = []
        for row in self.rows:
            if chunk and row.stop - chunk[0].start > most_slices:
                yield tuple(chunk)
                chunk = []
            chunk.append(row)
        if chunk:
            yield tuple(chunk)


def plan_series(header: SeriesHeader, card: Card, *, average: bool = True) -> SlabPlan:
    """What the networks see of a series, by the spacing that they learnt from.

    A single slice has no spacing, pictures have no positions, and an older card does not state the range: all three
    pass unchanged, without a reason. Slices so far apart that no two fit into a slab pass unchanged, with a warning.

    Parameters
    ----------
    average : whether slices below the range are averaged, or only warned of
    """
    spacing_mm = None if header.uid is None else median_spacing_mm(header.position_mm)
    if not all(map(isfinite, header.position_mm)):
        spacing_mm = None  # refused by its geometry
    plain = tuple(range(index, index + 1) for index in range(len(header.items)))
    if card.spacing_mm is None or spacing_mm is None:
        return SlabPlan(plain)
    low, high = card.spacing_mm
    if low <= spacing_mm <= high:
        return SlabPlan(plain)
    warning = make_reason("spacing_not_learnt", spacing=spacing_mm, low=low, high=high)
    if not average or 2 * spacing_mm > _TWO_SLICES * card.slab_mm:
        return SlabPlan(plain, (warning,))
    slabs = plan_slabs(header.position_mm, card.slab_mm)
    note = make_reason("averaged", slices=len(plain), spacing=spacing_mm, slabs=len(slabs), slab=card.slab_mm)
    return SlabPlan(slabs, (warning,), note)


def median_spacing_mm(position_mm: Sequence[float]) -> float | None:
    """The median step between distinct positions, ascending, in mm; None where there is only one."""
    steps = [after - before for before, after in pairwise(position_mm)]
    distinct = [step for step in steps if step >= _SAME_POSITION_MM]
    return round(median(distinct), 4) if distinct else None


def plan_slabs(position_mm: Sequence[float], slab_mm: float) -> tuple[range, ...]:
    """Slabs of about `slab_mm`, as ranges of slices.

    Every slice is in exactly one slab. No slab spans a gap: between two gaps slabs are of equal thickness, from three
    quarters to one and a half of `slab_mm`, or one slab where there is less. Slices at one position share a slab,
    unless there are more than `MAX_SLICES`.

    Parameters
    ----------
    position_mm : of each slice, ascending, of any spacing
    """
    units = [round(position * _UNITS_A_MM) for position in position_mm]
    slabs = (slab for run in _runs(units, slab_mm) for slab in _of_run(units, run, slab_mm))
    return tuple(part for slab in slabs for part in _parts(slab))


def _runs(units: Sequence[int], slab_mm: float) -> Iterator[range]:
    """Slices between gaps."""
    steps = [after - before for before, after in pairwise(units)]
    wide = slab_mm * _UNITS_A_MM
    ends = [index + 1 for index, step in enumerate(steps) if step > min(_GAP * _usual(steps, index), wide)]
    for start, stop in pairwise([0, *ends, len(units)]):
        yield range(start, stop)


def _usual(steps: Sequence[int], index: int) -> float:
    """The median of the steps around one, itself included: many scanners take the skull base finer than the vertex.

    Steps between copies of a position do not count.
    """
    around = [step for step in steps[max(index - _AROUND, 0) : index + _AROUND + 1] if step >= _same()]
    return median(around) if around else float("inf")


def _of_run(units: Sequence[int], run: range, slab_mm: float) -> Iterator[range]:
    """Equal parts of the length that the slices of a run stand for: half a step beyond the outer ones."""
    first, last = units[run.start], units[run.stop - 1]
    steps = [step for step in (units[i + 1] - units[i] for i in run[:-1]) if step >= _same()]
    step = int(median(steps)) if steps else 0
    length = last - first + step
    count = max(int(length / (slab_mm * _UNITS_A_MM) + 0.5), 1)

    def part(index: int) -> int:
        return (2 * (units[index] - first) + step) * count // (2 * length) if length else 0

    for _, slices in groupby(run, part):
        found = list(slices)
        yield range(found[0], found[-1] + 1)


def _parts(slab: range) -> Iterator[range]:
    """A slab in as few parts of equal length as `MAX_SLICES` allows."""
    count = -(-len(slab) // MAX_SLICES)
    cuts = [slab.start + number * len(slab) // count for number in range(count + 1)]
    return (range(start, stop) for start, stop in pairwise(cuts))


def _same() -> float:
    return _SAME_POSITION_MM * _UNITS_A_MM

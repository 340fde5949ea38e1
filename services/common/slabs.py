"""Plans slabs: slices thinner than the training data are averaged along z. Pure.

A slab is a range of neighbouring slices in anatomical order. The plan depends on the positions of the whole series
only, neither on chunks nor on the upload order.
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

MAX_SLICES: Final = 32  # in one slab: 5 mm hold fewer unless positions repeat; preprocess takes 64 per request
_UNITS_PER_MM: Final = 10_000  # positions are whole numbers, so that rounding never decides where a slab ends
_GAP: Final = 1.5  # a step of so many times the steps around it: slices are missing
_NEIGHBOURS: Final = 3  # steps on either side that a step is compared with
_TWO_SLICES: Final = 1.05  # largest thickness of two slices, in slabs; beyond it, every second slab has one slice
_SAME_POSITION_MM: Final = 0.01


@dataclass(frozen=True, slots=True)
class SlabPlan:
    """The rows of a series of n slices that the networks take.

    rows : the slices of each row, in order; one slice each where nothing is averaged
    reasons : about the spacing
    note : about the averaging, where rows are slabs
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

    def chunks(self, max_cost: int, costs: Sequence[int] | None = None) -> Iterator[tuple[range, ...]]:
        """Rows in chunks whose slices cost at most `max_cost`; a row beyond it is a chunk of its own.

        Parameters
        ----------
        costs : of each slice; 1 by default, so that slices are counted
        """
        chunk: list[range] = []
        total = 0
        for row in self.rows:
            cost = len(row) if costs is None else sum(costs[row.start : row.stop])
            if chunk and total + cost > max_cost:
                yield tuple(chunk)
                chunk, total = [], 0
            chunk.append(row)
            total += cost
        if chunk:
            yield tuple(chunk)


def plan_series(header: SeriesHeader, card: Card, *, average: bool = True) -> SlabPlan:
    """The rows of a series, by the slice spacing of the training data.

    Unchanged without a reason: a single slice, PNG slices, and series under an older card without a range. Unchanged
    with a warning: slices so far apart that no two fit into a slab.

    Parameters
    ----------
    average : average slices below the range, or only warn
    """
    spacing_mm = None if header.uid is None else median_spacing_mm(header.position_mm)
    if not all(map(isfinite, header.position_mm)):
        spacing_mm = None  # the geometry refuses the series
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
    """The median step between distinct positions, in mm; None for a single position.

    Parameters
    ----------
    position_mm : ascending
    """
    steps = [after - before for before, after in pairwise(position_mm)]
    distinct = [step for step in steps if step >= _SAME_POSITION_MM]
    return round(median(distinct), 4) if distinct else None


def plan_slabs(position_mm: Sequence[float], slab_mm: float) -> tuple[range, ...]:
    """Slabs of about `slab_mm`, as ranges of slices.

    Every slice is in exactly one slab. No slab spans a gap. Slabs between two gaps have equal thickness, 0.75 to 1.5
    times `slab_mm`; a shorter run is one slab. Slices at one position share a slab of at most `MAX_SLICES`.

    Parameters
    ----------
    position_mm : of each slice, ascending, with any spacing
    """
    units = [round(position * _UNITS_PER_MM) for position in position_mm]
    slabs = (slab for run in _runs(units, slab_mm) for slab in _split_run(units, run, slab_mm))
    return tuple(part for slab in slabs for part in _split_slab(slab))


def _runs(units: Sequence[int], slab_mm: float) -> Iterator[range]:
    """Ranges of slices between gaps."""
    steps = [after - before for before, after in pairwise(units)]
    wide = slab_mm * _UNITS_PER_MM
    ends = [index + 1 for index, step in enumerate(steps) if step > min(_GAP * _usual_step(steps, index), wide)]
    for start, stop in pairwise([0, *ends, len(units)]):
        yield range(start, stop)


def _usual_step(steps: Sequence[int], index: int) -> float:
    """The median of a step and its neighbours: many scanners take the skull base finer than the vertex.

    Steps between equal positions do not count.
    """
    neighbours = [step for step in steps[max(index - _NEIGHBOURS, 0) : index + _NEIGHBOURS + 1] if step >= _same()]
    return median(neighbours) if neighbours else float("inf")


def _split_run(units: Sequence[int], run: range, slab_mm: float) -> Iterator[range]:
    """Equal parts of a run's length, which extends half a step beyond its outer slices."""
    first, last = units[run.start], units[run.stop - 1]
    steps = [step for step in (units[i + 1] - units[i] for i in run[:-1]) if step >= _same()]
    step = int(median(steps)) if steps else 0
    length = last - first + step
    count = max(int(length / (slab_mm * _UNITS_PER_MM) + 0.5), 1)

    def part(index: int) -> int:
        return (2 * (units[index] - first) + step) * count // (2 * length) if length else 0

    for _, slices in groupby(run, part):
        found = list(slices)
        yield range(found[0], found[-1] + 1)


def _split_slab(slab: range) -> Iterator[range]:
    """A slab in as few equal parts as `MAX_SLICES` allows."""
    count = -(-len(slab) // MAX_SLICES)
    cuts = [slab.start + number * len(slab) // count for number in range(count + 1)]
    return (range(start, stop) for start, stop in pairwise(cuts))


def _same() -> float:
    return _SAME_POSITION_MM * _UNITS_PER_MM

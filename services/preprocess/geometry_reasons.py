"""Reasons from the geometry of a series.

The limits hold for head CT: fields of view are 200 to 260 mm, and scanners reconstruct at most 500 mm.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from services.common.acceptance import make_reason
from services.common.orientation import Vector, is_orthonormal
from services.common.schemas import Reason
from services.preprocess.frame_header import FrameHeader
from services.preprocess.header import DicomHeader
from services.preprocess.resample import fitted_shape, usable_spacing_mm

SIDE: Final = 512
MIN_ASPECT, MAX_ASPECT = 0.5, 2.0
MIN_VIEW_MM, MAX_VIEW_MM = 100.0, 500.0
MAX_LENGTH_MM: Final = 1000.0
MAX_POSITION_MM: Final = (1000.0, 1000.0, 10_000.0)  # x, y and z; z includes the table's travel
_ROUNDING: Final = 1e-3  # 512 pixels of 0.976563 mm, a rounded 500 mm field of view, are 500.0003 mm


class Grid(NamedTuple):
    """The pixel grid of a frame; the spacings are as stated."""

    rows: int
    columns: int
    row_spacing_mm: float
    column_spacing_mm: float


def geometry_reasons(slices: Collection[tuple[DicomHeader, FrameHeader]], position_mm: Sequence[float]) -> list[Reason]:
    """Reasons from the geometry of one series.

    Parameters
    ----------
    slices : each slice's header and frame
    position_mm : along the normal, ascending
    """
    frames = [frame for _, frame in slices]
    grids = sorted({_grid(header, frame) for header, frame in slices})
    stated = sorted({_grid(header, frame) for header, frame in slices if frame.has_pixel_spacing})
    orientations = {frame.image_orientation for frame in frames if frame.image_orientation}
    positions = {frame.position_mm for frame in frames if frame.position_mm}
    faults = [
        *_spacing_faults(stated),
        *_orientation_faults(orientations),
        *_position_faults(positions),
        *_length_faults(position_mm),
    ]
    found = [make_reason("implausible_geometry", faults="; ".join(faults))] if faults else []
    if not all(frame.has_pixel_spacing for frame in frames):
        found.append(make_reason("no_pixel_spacing"))
    if not all(frame.image_orientation for frame in frames):
        found.append(make_reason("no_orientation"))
    return found + _resampled(grids)


def _grid(header: DicomHeader, frame: FrameHeader) -> Grid:
    return Grid(header.rows, header.columns, frame.row_spacing_mm, frame.column_spacing_mm)


def _spacing_faults(grids: Sequence[Grid]) -> Iterator[str]:
    if wrong := [grid for grid in grids if min(grid[2:]) <= 0]:
        yield f"PixelSpacing is {_spacing(wrong[0])} mm; it must exceed 0"
        return
    if wrong := [grid for grid in grids if _outside(_aspect(grid), MIN_ASPECT, MAX_ASPECT)]:
        limits = f"outside {MIN_ASPECT:g} to {MAX_ASPECT:g}"
        yield f"the pixel aspect is {_aspect(wrong[0]):.3g} (PixelSpacing {_spacing(wrong[0])} mm), {limits}"
    if wrong := [grid for grid in grids if any(_outside(mm, MIN_VIEW_MM, MAX_VIEW_MM) for mm in _view_mm(grid))]:
        height_mm, width_mm = _view_mm(wrong[0])
        limits = f"outside {MIN_VIEW_MM:g} to {MAX_VIEW_MM:g} mm"
        yield f"the field of view is {height_mm:.4g} x {width_mm:.4g} mm, {limits}"


def _orientation_faults(orientations: Iterable[Vector]) -> Iterator[str]:
    if wrong := sorted(orientation for orientation in orientations if not is_orthonormal(orientation)):
        values = "\\".join(f"{value:g}" for value in wrong[0])
        yield f"ImageOrientationPatient is {values}; it must be two unit vectors at a right angle"


def _position_faults(positions: Iterable[Vector]) -> Iterator[str]:
    extremes = [max((position[axis] for position in positions), key=abs, default=0.0) for axis in range(3)]
    for name, value, limit in zip("xyz", extremes, MAX_POSITION_MM, strict=True):
        if abs(value) > limit:
            yield f"{name} of ImagePositionPatient is {value:g} mm, outside {-limit:g} to {limit:g} mm"


def _length_faults(position_mm: Sequence[float]) -> Iterator[str]:
    length_mm = position_mm[-1] - position_mm[0]
    if length_mm > MAX_LENGTH_MM:
        yield f"the series is {length_mm:g} mm long, more than {MAX_LENGTH_MM:g} mm"


def _resampled(grids: Sequence[Grid]) -> list[Reason]:
    """A note where resampling or padding changes the size of the slice."""
    other = [grid for grid in grids if grid[:2] != (SIDE, SIDE) or _fitted(grid) != (SIDE, SIDE)]
    if not other:
        return []
    rows, columns, row_mm, column_mm = other[0]
    square = _fitted(other[0]) == _fitted(Grid(rows, columns, 1, 1))
    pixels = "" if square else f" of {row_mm:g} x {column_mm:g} mm"
    return [make_reason("resampled", rows=rows, columns=columns, pixels=pixels)]


def _fitted(grid: Grid) -> tuple[int, int]:
    return fitted_shape(grid[:2], *usable_spacing_mm(*grid[2:]), SIDE, SIDE)


def _aspect(grid: Grid) -> float:
    return grid.row_spacing_mm / grid.column_spacing_mm


def _view_mm(grid: Grid) -> tuple[float, float]:
    return grid.rows * grid.row_spacing_mm, grid.columns * grid.column_spacing_mm


def _spacing(grid: Grid) -> str:
    return f"{grid.row_spacing_mm:g}\\{grid.column_spacing_mm:g}"


def _outside(value: float, low: float, high: float) -> bool:
    return not low * (1 - _ROUNDING) <= value <= high * (1 + _ROUNDING)

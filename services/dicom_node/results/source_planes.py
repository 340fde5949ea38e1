"""The source frames that result images lie on, by the headers of the received instances."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import Dataset, dcmread

from services.common.orientation import is_orthonormal
from services.dicom_node.results.context import ResultContext, SourceSlice

# Attributes of a legacy converted instance without a macro (PS3.3 C.7.6.25).
_UNASSIGNED: Final = (
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
)
_TAGS: Final = [
    "FrameOfReferenceUID",
    "SOPClassUID",
    "SOPInstanceUID",
    "InstanceNumber",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "SliceThickness",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *_UNASSIGNED,
]
# Functional groups (PS3.3 C.7.6.16.2) of attributes that a single-frame instance has at its top level.
_MACROS: Final = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
_SAME: Final = 1e-3  # cosines and mm


@dataclass(frozen=True, slots=True)
class SourcePlane:
    """The frame of one row of the report, with its place in patient coordinates as stated; empty where it states none.

    index : of the row
    frame : from 0 in a multi-frame instance
    position_mm, orientation : ImagePositionPatient, ImageOrientationPatient
    spacing_mm : PixelSpacing, of rows and of columns
    """

    index: int
    source: SourceSlice
    rows: int
    columns: int
    frame_of_reference_uid: str = ""
    instance_number: int | None = None
    position_mm: tuple[float, ...] = ()
    orientation: tuple[float, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    thickness_mm: float | None = None

    @property
    def is_placed(self) -> bool:
        """Whether position, orientation and spacing are stated and usable."""
        lengths = len(self.position_mm), len(self.orientation), len(self.spacing_mm)
        return lengths == (3, 6, 2) and min(self.spacing_mm) > 0 and is_orthonormal(self.orientation)

    @property
    def normal(self) -> tuple[float, ...]:
        """The cross product of the directions of a row and of a column."""
        return tuple(np.cross(self.orientation[:3], self.orientation[3:]).tolist())

    @property
    def distance_mm(self) -> float:
        """Position along the normal."""
        return float(np.dot(self.normal, self.position_mm))

    def shares_grid(self, other: "SourcePlane") -> bool:
        """Whether both have one size and frame of reference, and within rounding one orientation and spacing."""
        mine, theirs = (*self.orientation, *self.spacing_mm), (*other.orientation, *other.spacing_mm)
        exact = [(one.rows, one.columns, one.frame_of_reference_uid) for one in (self, other)]
        return exact[0] == exact[1] and np.allclose(mine, theirs, rtol=0, atol=_SAME)


def read_source_planes(context: ResultContext, indices: Iterable[int] | None = None) -> tuple[SourcePlane, ...]:
    """The plane of each row of the report, in its order. Each instance is read once, without its pixels.

    Parameters
    ----------
    indices : of the rows that are wanted; all where None
    """
    wanted = range(len(context.slices)) if indices is None else indices
    numbered = sorted(((index, context.slices[index]) for index in wanted), key=lambda item: (item[1].path, item[0]))
    planes = [
        plane
        for path, items in groupby(numbered, key=lambda item: item[1].path)
        for plane in _planes_of_instance(path, list(items))
    ]
    return tuple(sorted(planes, key=lambda plane: plane.index))


def group_by_grid(planes: Sequence[SourcePlane]) -> list[list[SourcePlane]]:
    """Groups of placed planes with one grid, each along the normal: a result object has one grid (PS3.3 C.7.6.16.2)."""
    groups: list[list[SourcePlane]] = []
    for plane in planes:
        if plane.is_placed:
            _group_of(plane, groups).append(plane)
    return [_with_thickness(sorted(group, key=lambda plane: (plane.distance_mm, plane.index))) for group in groups]


def _with_thickness(planes: Sequence[SourcePlane]) -> list[SourcePlane]:
    """Where a source states no thickness, a volume needs one all the same: the smallest gap to a neighbour."""
    gaps = [after.distance_mm - before.distance_mm for before, after in pairwise(planes)]
    smallest = min((gap for gap in gaps if gap > _SAME), default=None)
    return [plane if plane.thickness_mm else replace(plane, thickness_mm=smallest) for plane in planes]


def _group_of(plane: SourcePlane, groups: list[list[SourcePlane]]) -> list[SourcePlane]:
    for group in groups:
        if plane.shares_grid(group[0]):
            return group
    groups.append([])
    return groups[-1]


def _planes_of_instance(path: Path, items: Sequence[tuple[int, SourceSlice]]) -> Iterator[SourcePlane]:
    dataset = dcmread(path, stop_before_pixels=True, specific_tags=_TAGS, force=True)
    for index, source in items:
        yield _plane(index, source, dataset, _places(dataset, source.frame or 0))


def _plane(index: int, source: SourceSlice, dataset: Dataset, places: Sequence[Dataset]) -> SourcePlane:
    thickness, number = _numbers(places, "SliceThickness", 1), _value(dataset, "InstanceNumber")
    return SourcePlane(
        index=index,
        source=source,
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        frame_of_reference_uid=_value(dataset, "FrameOfReferenceUID") or "",
        instance_number=number if isinstance(number, int) else None,
        position_mm=_numbers(places, "ImagePositionPatient", 3),
        orientation=_numbers(places, "ImageOrientationPatient", 6),
        spacing_mm=_numbers(places, "PixelSpacing", 2),
        thickness_mm=thickness[0] if thickness else None,
    )


def _places(dataset: Dataset, frame: int) -> list[Dataset]:
    """Where an attribute of a frame may stand; the first place takes precedence, as in preprocess."""
    own = _item(dataset, "PerFrameFunctionalGroupsSequence", frame)
    shared = _item(dataset, "SharedFunctionalGroupsSequence", 0)
    macros = [_item(group, macro, 0) for group in (own, shared) for macro in _MACROS]
    return [*macros, dataset, _item(shared, _UNASSIGNED[0], 0), _item(own, _UNASSIGNED[1], 0)]


def _item(dataset: Dataset, keyword: str, number: int) -> Dataset:
    items = dataset.get(keyword) or []
    return items[number] if number < len(items) else Dataset()


def _numbers(places: Sequence[Dataset], keyword: str, count: int) -> tuple[float, ...]:
    """The first value that is there; empty where it is malformed, not finite, or of another length."""
    value = next((found for place in places if (found := _value(place, keyword)) is not None), None)
    try:
        values = np.atleast_1d(np.array([] if value is None else value, float))
    except ValueError:  # pydicom leaves a malformed number as text
        return ()
    return tuple(values.tolist()) if len(values) == count and np.isfinite(values).all() else ()


def _value(dataset: Dataset, keyword: str) -> Any:
    """None where the value is malformed: pydicom reads it here only."""
    try:
        return dataset.get(keyword)
    except (ValueError, TypeError, OverflowError):
        return None

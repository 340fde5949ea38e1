"""The source frames that result images lie on, by the headers of the received instances."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import Dataset, dcmread

from services.common.orientation import is_orthonormal
from services.dicom_node.results.context import ResultContext, SourceSlice

_TAGS: Final = [
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
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
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
        """Whether both frames have the same size, orientation and spacing, within rounding."""
        mine, theirs = (*self.orientation, *self.spacing_mm), (*other.orientation, *other.spacing_mm)
        return (self.rows, self.columns) == (other.rows, other.columns) and np.allclose(
            mine, theirs, rtol=0, atol=_SAME
        )


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
    return [sorted(group, key=lambda plane: (plane.distance_mm, plane.index)) for group in groups]


def _group_of(plane: SourcePlane, groups: list[list[SourcePlane]]) -> list[SourcePlane]:
    for group in groups:
        if plane.shares_grid(group[0]):
            return group
    groups.append([])
    return groups[-1]


def _planes_of_instance(path: Path, items: Sequence[tuple[int, SourceSlice]]) -> Iterator[SourcePlane]:
    dataset = dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
    shared = _attributes(_item(dataset, "SharedFunctionalGroupsSequence", 0))
    for index, source in items:
        own = _attributes(_item(dataset, "PerFrameFunctionalGroupsSequence", source.frame or 0))
        yield _plane(index, source, dataset, {**shared, **own})


def _plane(index: int, source: SourceSlice, dataset: Dataset, groups: Mapping[str, Any]) -> SourcePlane:
    def numbers(keyword: str) -> tuple[float, ...]:
        value = groups.get(keyword, dataset.get(keyword))
        return () if value is None or isinstance(value, (str, float)) else tuple(map(float, value))

    thickness = groups.get("SliceThickness", dataset.get("SliceThickness"))
    return SourcePlane(
        index=index,
        source=source,
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        instance_number=dataset.get("InstanceNumber"),
        position_mm=numbers("ImagePositionPatient"),
        orientation=numbers("ImageOrientationPatient"),
        spacing_mm=numbers("PixelSpacing"),
        thickness_mm=None if thickness is None else float(thickness),
    )


def _item(dataset: Dataset, keyword: str, number: int) -> Dataset:
    items = dataset.get(keyword) or []
    return items[number] if number < len(items) else Dataset()


def _attributes(group: Dataset) -> dict[str, Any]:
    """The attributes of the macros in a functional group, by keyword; other places where a legacy one has none."""
    unassigned = [_item(group, keyword, 0) for keyword in _TAGS[-2:]]
    macros = [_item(group, macro, 0) for macro in _MACROS]
    return {element.keyword: element.value for item in (*unassigned, *macros) for element in item}

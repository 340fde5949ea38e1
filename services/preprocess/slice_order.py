"""Orders the slices of a series along its normal, towards the head, and gives their positions.

ImagePositionPatient orders slices. Where it is missing or degenerate, SliceLocation does, else InstanceNumber times the
spacing, with a warning that names the substitute. UIDs never order slices at different positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from services.common.acceptance import make_reason
from services.common.orientation import Vector, distance_along, slice_normal
from services.common.schemas import Reason
from services.preprocess.frame_header import FrameHeader
from services.preprocess.header import DicomHeader
from services.preprocess.header_reasons import position_reasons

_ASSUMED_SPACING_MM: Final = 5.0
_DECIMALS: Final = 2  # of mm: positions less than 0.01 mm apart are equal


@dataclass(frozen=True, slots=True)
class Slice:
    """One axial frame of a file, both counted from 0."""

    file: int
    frame: int
    header: DicomHeader

    @property
    def frame_header(self) -> FrameHeader:
        """The header of this frame."""
        return self.header.frames[self.frame]

    @property
    def sort_key(self) -> tuple[float, str, int, Vector, Vector]:
        """The order of slices at one position, independent of the upload order."""
        number = float("inf") if self.header.instance_number is None else self.header.instance_number
        position, orientation = self.frame_header.position_mm or (), self.frame_header.image_orientation or ()
        return number, self.header.sop_instance_uid, self.frame, position, orientation


class OrderedSlices(NamedTuple):
    """Slices from the feet to the head, their positions above the lowest in mm, and reasons about both."""

    slices: tuple[Slice, ...]
    position_mm: tuple[float, ...]
    reasons: tuple[Reason, ...]


class _Substitute(NamedTuple):
    """Positions in place of ImagePositionPatient, and a text on their origin."""

    position_mm: Sequence[float]
    origin: str


def order_slices(slices: Sequence[Slice]) -> OrderedSlices:
    """The slices of one series in anatomical order, independent of the upload order.

    Where no tag orders them, the reasons hold a refusal, and all positions are 0.
    """
    by_key = sorted(slices, key=lambda item: item.sort_key)
    position_mm = _along_normal(by_key)
    fault = _position_fault(by_key, position_mm)
    if fault is None:
        return _sorted(by_key, position_mm, ())
    for substitute in (_slice_location, _instance_number):
        if found := substitute(by_key):
            return _sorted(by_key, found.position_mm, (make_reason("no_position", fault=fault, used=found.origin),))
    return OrderedSlices(tuple(by_key), (0.0,) * len(by_key), (make_reason("no_order", fault=fault),))


def _sorted(slices: Sequence[Slice], position_mm: Sequence[float], reasons: tuple[Reason, ...]) -> OrderedSlices:
    pairs = sorted(zip(position_mm, slices, strict=True), key=lambda pair: pair[0])
    above_lowest_mm = tuple(round(position - pairs[0][0], 4) for position, _ in pairs)
    reasons += tuple(position_reasons(above_lowest_mm))
    return OrderedSlices(tuple(item for _, item in pairs), above_lowest_mm, reasons)


def _along_normal(slices: Sequence[Slice]) -> list[float]:
    """Positions along the series' normal, in mm; 0 where the header has none."""
    orientations = (item.frame_header.image_orientation for item in slices)
    direction = slice_normal(next((orientation for orientation in orientations if orientation), None))
    return [distance_along(direction, item.frame_header.position_mm or (0.0, 0.0, 0.0)) for item in slices]


def _position_fault(slices: Sequence[Slice], position_mm: Sequence[float]) -> str | None:
    """The fault that keeps ImagePositionPatient from ordering the slices; None for a single slice and its copies."""
    if len({(item.sort_key, None if item.header.sop_instance_uid else item.file) for item in slices}) == 1:
        return None
    missing = sum(item.frame_header.position_mm is None for item in slices)
    if missing:
        return f"is missing in {missing} of {len(slices)} slices"
    if _count_distinct(position_mm) == 1:
        return "is the same in all slices"
    headers = {item.file: item.header for item in slices}
    if any(map(_has_one_position, headers.values())):
        return "is the same in all frames of a file"
    shared = len(slices) - _count_distinct(position_mm)
    if shared and _slice_location(slices):
        return f"is the same in slices with different SliceLocation ({shared} of {len(slices)})"
    return None


def _has_one_position(header: DicomHeader) -> bool:
    """Whether all frames share one position, as in multi-frame files without functional groups."""
    positions = {header.frames[number].position_mm for number in header.axial_frames}
    return len(header.axial_frames) > 1 and len(positions) == 1


def _slice_location(slices: Sequence[Slice]) -> _Substitute | None:
    locations = [item.frame_header.slice_location_mm for item in slices]
    known = [location for location in locations if location is not None]
    if len(known) < len(slices) or _count_distinct(known) < len(slices):
        return None
    return _Substitute(known, "SliceLocation, assumed to rise towards the head")


def _instance_number(slices: Sequence[Slice]) -> _Substitute | None:
    """InstanceNumber times spacing; the frames of one file follow each other."""
    numbers = {item.file: item.header.instance_number for item in slices}
    spacing_mm, source = _spacing_mm(slices[0].frame_header)
    if len(numbers) == 1:
        origin = f"the frame number times {spacing_mm:g} mm ({source}), assumed to rise towards the head"
        return _Substitute([index * spacing_mm for index in range(len(slices))], origin)
    known = [number for number in numbers.values() if number is not None]
    if len(known) < len(numbers) or len(set(known)) < len(numbers):
        return None
    origin = f"InstanceNumber times {spacing_mm:g} mm ({source}), assumed to rise towards the head"
    counts = known if len(numbers) == len(slices) else range(len(slices))
    return _Substitute([count * spacing_mm for count in counts], origin)


def _spacing_mm(frame: FrameHeader) -> tuple[float, str]:
    """The slice spacing without positions, and its source."""
    if frame.spacing_between_slices_mm:
        return abs(frame.spacing_between_slices_mm), "SpacingBetweenSlices"
    if frame.slice_thickness_mm:
        return abs(frame.slice_thickness_mm), "SliceThickness"
    return _ASSUMED_SPACING_MM, "assumed"


def _count_distinct(position_mm: Sequence[float]) -> int:
    return len({round(position, _DECIMALS) for position in position_mm})

"""The order of a series' slices and their positions along its normal, towards the head.

By ImagePositionPatient; where that is missing or degenerate by SliceLocation, else by InstanceNumber times spacing,
with a warning that names what was used. UIDs never order slices that lie at different positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from services.common.acceptance import make_reason
from services.common.schemas import Reason
from services.preprocess.frame_header import FrameHeader
from services.preprocess.geometry import Vector, distance_along, slice_normal
from services.preprocess.header import DicomHeader
from services.preprocess.header_reasons import position_reasons

_UNKNOWN_SPACING_MM: Final = 5.0
_PLACES: Final = 2  # of a mm: positions that are nearer than 0.01 mm are the same


@dataclass(frozen=True, slots=True)
class Slice:
    """One axial frame of a file, both counted from 0."""

    file: int
    frame: int
    header: DicomHeader

    @property
    def frame_header(self) -> FrameHeader:
        """What the header says of this frame."""
        return self.header.frames[self.frame]

    @property
    def sort_key(self) -> tuple[float, str, int, Vector, Vector]:
        """What orders slices of one position; the order sent must never."""
        number = float("inf") if self.header.instance_number is None else self.header.instance_number
        place, orientation = self.frame_header.position_mm or (), self.frame_header.image_orientation or ()
        return number, self.header.sop_instance_uid, self.frame, place, orientation


class OrderedSlices(NamedTuple):
    """Slices from the feet to the head, their positions from the lowest one on, and what is to be said of both."""

    slices: tuple[Slice, ...]
    position_mm: tuple[float, ...]
    reasons: tuple[Reason, ...]


class _Substitute(NamedTuple):
    """Positions in place of ImagePositionPatient, and the words that say what they are made of."""

    position_mm: Sequence[float]
    origin: str


def order_slices(slices: Sequence[Slice]) -> OrderedSlices:
    """The slices of one series in order, whatever the order sent.

    Where nothing orders them the reasons hold a refusal, and all positions are 0.
    """
    ranked = sorted(slices, key=lambda item: item.sort_key)
    position_mm = _along_normal(ranked)
    fault = _fault(ranked, position_mm)
    if fault is None:
        return _sorted(ranked, position_mm, ())
    for substitute in (_slice_location, _instance_number):
        if found := substitute(ranked):
            return _sorted(ranked, found.position_mm, (make_reason("no_position", fault=fault, used=found.origin),))
    return OrderedSlices(tuple(ranked), (0.0,) * len(ranked), (make_reason("no_order", fault=fault),))


def _sorted(ranked: Sequence[Slice], position_mm: Sequence[float], reasons: tuple[Reason, ...]) -> OrderedSlices:
    pairs = sorted(zip(position_mm, ranked, strict=True), key=lambda pair: pair[0])
    from_lowest_mm = tuple(round(position - pairs[0][0], 4) for position, _ in pairs)
    return OrderedSlices(
        tuple(item for _, item in pairs), from_lowest_mm, (*reasons, *position_reasons(from_lowest_mm))
    )


def _along_normal(ranked: Sequence[Slice]) -> list[float]:
    """Positions along the series' normal, in mm; 0 where the header has none."""
    orientations = (item.frame_header.image_orientation for item in ranked)
    direction = slice_normal(next((found for found in orientations if found), None))
    return [distance_along(direction, item.frame_header.position_mm or (0.0, 0.0, 0.0)) for item in ranked]


def _fault(ranked: Sequence[Slice], position_mm: Sequence[float]) -> str | None:
    """Why ImagePositionPatient does not order the slices; None where it does. A slice alone, or copied, needs none."""
    if len({(item.sort_key, None if item.header.sop_instance_uid else item.file) for item in ranked}) == 1:
        return None
    missing = sum(item.frame_header.position_mm is None for item in ranked)
    if missing:
        return f"is missing in {missing} of {len(ranked)} slices"
    if _distinct(position_mm) == 1:
        return "is the same in all slices"
    stacks = {item.file: item.header for item in ranked}
    if any(map(_one_position_for_all_frames, stacks.values())):
        return "is the same in all frames of a file"
    shared = len(ranked) - _distinct(position_mm)
    if shared and _slice_location(ranked):
        return f"is the same in slices that SliceLocation tells apart ({shared} of {len(ranked)})"
    return None


def _one_position_for_all_frames(header: DicomHeader) -> bool:
    """A multi-frame file without functional groups has one position in its header, for none of its frames."""
    return (
        len(header.axial_frames) > 1 and len({header.frames[number].position_mm for number in header.axial_frames}) == 1
    )


def _slice_location(ranked: Sequence[Slice]) -> _Substitute | None:
    locations = [item.frame_header.slice_location_mm for item in ranked]
    known = [location for location in locations if location is not None]
    if len(known) < len(ranked) or _distinct(known) < len(ranked):
        return None
    return _Substitute(known, "SliceLocation, taken as rising towards the head")


def _instance_number(ranked: Sequence[Slice]) -> _Substitute | None:
    """InstanceNumber times spacing; frames of one file follow each other."""
    numbers = {item.file: item.header.instance_number for item in ranked}
    spacing_mm, source = _spacing_mm(ranked[0].frame_header)
    if len(numbers) == 1:
        words = f"the number of their frames times {spacing_mm:g} mm ({source}), taken as rising towards the head"
        return _Substitute([index * spacing_mm for index in range(len(ranked))], words)
    known = [number for number in numbers.values() if number is not None]
    if len(known) < len(numbers) or len(set(known)) < len(numbers):
        return None
    words = f"InstanceNumber times {spacing_mm:g} mm ({source}), taken as rising towards the head"
    counts = known if len(numbers) == len(ranked) else range(len(ranked))
    return _Substitute([count * spacing_mm for count in counts], words)


def _spacing_mm(frame: FrameHeader) -> tuple[float, str]:
    """The distance of slices where no position tells it, and where it is from."""
    if frame.spacing_between_slices_mm:
        return abs(frame.spacing_between_slices_mm), "SpacingBetweenSlices"
    if frame.slice_thickness_mm:
        return abs(frame.slice_thickness_mm), "SliceThickness"
    return _UNKNOWN_SPACING_MM, "assumed"


def _distinct(position_mm: Sequence[float]) -> int:
    return len({round(position, _PLACES) for position in position_mm})

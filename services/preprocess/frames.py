"""What a header says of each frame; enhanced files say it in functional groups (PS3.3 C.7.6.16)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.preprocess import tags
from services.preprocess.elements import Element
from services.preprocess.fields import Fields

# Functional groups whose attributes stand at the top of a single-frame file (PS3.3 C.7.6.16.2, C.8.15.3).
_MACROS: Final = (
    tags.PLANE_POSITION_SEQUENCE,
    tags.PLANE_ORIENTATION_SEQUENCE,
    tags.PIXEL_MEASURES_SEQUENCE,
    tags.PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
    tags.CT_X_RAY_DETAILS_SEQUENCE,
    tags.CT_RECONSTRUCTION_SEQUENCE,
)


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """Where one frame lies (PS3.3 C.7.6.2) and what its values mean (C.11.1)."""

    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    row_spacing_mm: float
    column_spacing_mm: float
    slope: float
    intercept: float


def frame_fields(fields: Fields, count: int) -> Iterator[Fields]:
    """Each frame's own attributes, over the shared ones, over those of the file."""
    shared = next(fields.items(tags.SHARED_FUNCTIONAL_GROUPS_SEQUENCE), None)
    base = _macros(shared).over(fields) if shared else fields
    per_frame = fields.items(tags.PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
    for _ in range(count):
        group = next(per_frame, None)
        yield _macros(group).over(base) if group else base


def _macros(group: Fields) -> Fields:
    found: dict[int, Element] = {}
    for macro in _MACROS:
        first = next(group.items(macro), None)
        found |= first.elements if first else {}
    return Fields(group.reader, found)


def frame_header(fields: Fields) -> FrameHeader:
    spacing = fields.numbers(tags.PIXEL_SPACING, 2) or (1.0, 1.0)
    row_spacing, column_spacing = spacing if min(spacing) > 0 else (1.0, 1.0)
    slope, intercept = fields.number(tags.RESCALE_SLOPE), fields.number(tags.RESCALE_INTERCEPT)
    return FrameHeader(
        position_mm=fields.numbers(tags.IMAGE_POSITION_PATIENT, 3),
        orientation=fields.numbers(tags.IMAGE_ORIENTATION_PATIENT, 6),
        row_spacing_mm=row_spacing,
        column_spacing_mm=column_spacing,
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
    )

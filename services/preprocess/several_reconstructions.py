"""Detects several reconstructions in one series, by the attributes that one reconstruction shares.

Rescale and stored bits are included: no scanner varies them within a series, and a wrong value corrupts a slice without
an error.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby, pairwise
from statistics import median
from typing import Final

from services.common.acceptance import make_reason
from services.common.orientation import distance_along, slice_normal
from services.common.schemas import Reason
from services.preprocess.frame_header import FrameHeader
from services.preprocess.header import DicomHeader

_SAME_COSINE: Final = 0.03  # about two degrees
_SAME_SHARE: Final = 0.01
_SAME_THICKNESS_MM: Final = 0.05
_SAME_STEP_SHARE: Final = 0.2


def several_reconstructions(headers: Collection[DicomHeader], in_order: Sequence[FrameHeader] = ()) -> Reason | None:
    """A warning that names the attributes in which the slices of a series differ; None for one reconstruction.

    Parameters
    ----------
    in_order : the frames in order, where another tag than ImagePositionPatient orders them
    """
    frames = [header.frames[number] for header in headers for number in header.axial_frames]
    differs = {
        "kernel": len({frame.convolution_kernel for frame in frames}) > 1,
        "orientation": _varies((frame.image_orientation or () for frame in frames), above=_SAME_COSINE),
        "stack": len({frame.stack_id for frame in frames}) > 1,
        "size": len({(header.rows, header.columns) for header in headers}) > 1,
        "pixel spacing": _varies((_spacing_mm(frame) for frame in frames), share=_SAME_SHARE),
        "field of view": _varies(_fields_mm(headers), share=_SAME_SHARE),
        "rescale": len({(frame.rescale_slope, frame.rescale_intercept) for frame in frames}) > 1,
        "tube voltage": _varies(((frame.kvp,) if frame.kvp else () for frame in frames), share=_SAME_SHARE),
        "stored bits": len({_stored(header) for header in headers}) > 1,
        "slice thickness": _thickness_varies(frames, in_order),
    }
    attributes = [name for name, different in differs.items() if different]
    return make_reason("several_reconstructions", attributes=_listed(attributes)) if attributes else None


def _stored(header: DicomHeader) -> tuple[int, int, bool]:
    return header.bits_stored, header.high_bit, header.signed


def _spacing_mm(frame: FrameHeader) -> tuple[float, float]:
    return frame.row_spacing_mm, frame.column_spacing_mm


def _fields_mm(headers: Collection[DicomHeader]) -> Iterable[tuple[float, float]]:
    return (
        (header.rows * frame.row_spacing_mm, header.columns * frame.column_spacing_mm)
        for header in headers
        for frame in (header.frames[number] for number in header.axial_frames)
    )


def _thickness_varies(frames: Collection[FrameHeader], in_order: Sequence[FrameHeader]) -> bool:
    """Whether SliceThickness varies, except where scanners take the skull base finer than the vertex.

    There, each thickness occupies one part of the head, with spacing in proportion to it. Without
    ImagePositionPatient, the spacing is not checked.
    """
    stated = [frame for frame in frames if frame.slice_thickness_mm]
    varies = _varies(
        ((frame.slice_thickness_mm or 0,) for frame in stated), share=_SAME_SHARE, above=_SAME_THICKNESS_MM
    )
    return varies and not (_in_runs(in_order) if in_order else _by_parts(stated))


def _in_runs(in_order: Sequence[FrameHeader]) -> bool:
    runs = [len(list(run)) for _, run in groupby(in_order, key=_rounded_thickness_mm)]
    return len(runs) == len({_rounded_thickness_mm(frame) for frame in in_order}) and min(runs) > 1


def _rounded_thickness_mm(frame: FrameHeader) -> float:
    return round(frame.slice_thickness_mm or 0, 1)


def _by_parts(frames: Collection[FrameHeader]) -> bool:
    if any(frame.position_mm is None for frame in frames):
        return False
    placed = sorted(
        (distance_along(slice_normal(frame.image_orientation), frame.position_mm or ()), frame.slice_thickness_mm or 0)
        for frame in frames
    )
    parts = [list(part) for _, part in groupby(placed, key=lambda slice_: round(slice_[1], 1))]
    whole = len(parts) == len({round(thickness_mm, 1) for _, thickness_mm in placed})
    apart = all(below[-1][0] < above[0][0] for below, above in pairwise(parts)) and min(map(len, parts)) > 1
    return whole and apart and not _varies(map(_step_share, parts), share=_SAME_STEP_SHARE)


def _step_share(part: Sequence[tuple[float, float]]) -> tuple[float]:
    """The distance between neighbouring slices of one thickness, as a share of the thickness."""
    steps = [after - before for (before, _), (after, _) in pairwise(part)]
    return (median(steps) / part[0][1],)


def _varies(values: Iterable[tuple[float, ...]], *, share: float = 0, above: float = 0) -> bool:
    """Whether a component varies by more than `above` and by more than `share` of its largest value.

    Missing values do not count. Comparing the spread avoids rounding, which noise at a limit would defeat.
    """
    known = {value for value in values if value}
    spread = ((min(component), max(component)) for component in zip(*known, strict=True))
    return any(high - low > max(above, share * max(abs(low), abs(high))) for low, high in spread)


def _listed(names: Collection[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last

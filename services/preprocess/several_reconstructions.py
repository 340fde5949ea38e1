"""Whether slices are of more than one reconstruction, by everything in their headers that one reconstruction shares.

Rescale and stored bits count, too: they differ in no series of one scanner, and a wrong one spoils a slice in silence.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby, pairwise
from statistics import median
from typing import Final

from services.common.acceptance import make_reason
from services.common.schemas import Reason
from services.preprocess.frame_header import FrameHeader
from services.preprocess.geometry import distance_along, slice_normal
from services.preprocess.header import DicomHeader

_SAME_COSINE: Final = 0.03  # about two degrees
_SAME: Final = 0.01  # as a share
_SAME_THICKNESS_MM: Final = 0.05
_SAME_STEP_SHARE: Final = 0.2


def several_reconstructions(headers: Collection[DicomHeader], in_order: Sequence[FrameHeader] = ()) -> Reason | None:
    """The warning that names in what the slices of a series differ; None where they are of one reconstruction.

    Parameters
    ----------
    in_order : the frames in their order, where something else than ImagePositionPatient orders them
    """
    frames = [header.frames[number] for header in headers for number in header.axial_frames]
    found = {
        "kernel": len({frame.convolution_kernel for frame in frames}) > 1,
        "orientation": _varies((frame.image_orientation or () for frame in frames), least=_SAME_COSINE),
        "stack": len({frame.stack_id for frame in frames}) > 1,
        "size": len({(header.rows, header.columns) for header in headers}) > 1,
        "pixel spacing": _varies((_spacing_mm(frame) for frame in frames), share=_SAME),
        "field of view": _varies(_fields_mm(headers), share=_SAME),
        "rescale": len({(frame.rescale_slope, frame.rescale_intercept) for frame in frames}) > 1,
        "tube voltage": _varies(((frame.kvp,) if frame.kvp else () for frame in frames), share=_SAME),
        "stored bits": len({_stored(header) for header in headers}) > 1,
        "slice thickness": _thickness_varies(frames, in_order),
    }
    what = [name for name, differs in found.items() if differs]
    return make_reason("several_reconstructions", attributes=_listed(what)) if what else None


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
    """Whether SliceThickness varies other than along the head, as scanners take the skull base finer than the vertex.

    There each thickness has a part of the head to itself, and slices that are thinner lie closer by as much. Of the
    latter a substitute for positions says nothing.
    """
    thick = [frame for frame in frames if frame.slice_thickness_mm]
    varies = _varies(((frame.slice_thickness_mm or 0,) for frame in thick), share=_SAME, least=_SAME_THICKNESS_MM)
    return varies and not (_in_runs(in_order) if in_order else _by_parts(thick))


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
    """The distance between neighbours of one thickness, as a share of it."""
    steps = [after - before for (before, _), (after, _) in pairwise(part)]
    return (median(steps) / part[0][1],)


def _varies(values: Iterable[tuple[float, ...]], *, share: float = 0, least: float = 0) -> bool:
    """Whether a component varies by more than `least` and that share of its largest value; missing values do not count.

    The spread counts: values rounded before they are compared would differ by noise where they lie at a border.
    """
    known = {value for value in values if value}
    spread = ((min(component), max(component)) for component in zip(*known, strict=True))
    return any(high - low > max(least, share * max(abs(low), abs(high))) for low, high in spread)


def _listed(what: Collection[str]) -> str:
    *first, last = what
    return f"{', '.join(first)} and {last}" if first else last

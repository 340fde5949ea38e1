"""Whether slices are of more than one reconstruction, by everything in their headers that one reconstruction shares."""

from collections.abc import Collection, Iterable
from typing import Final

from services.common.acceptance import reason
from services.common.schemas import Reason
from services.preprocess.frames import FrameHeader
from services.preprocess.header import Header

_NOISE_COSINE: Final = 0.03  # about two degrees
_NOISE_SHARE: Final = 0.01
_NOISE_THICKNESS_MM: Final = 0.05


def differing(headers: Collection[Header]) -> Reason | None:
    """The warning that names in what the slices of a series differ; None where they are of one reconstruction."""
    frames = [header.frames[number] for header in headers for number in header.slices]
    found = {
        "kernel": len({frame.kernel for frame in frames}) > 1,
        "orientation": _varies((frame.orientation or () for frame in frames), least=_NOISE_COSINE),
        "stack": len({frame.stack for frame in frames}) > 1,
        "size": len({(header.rows, header.columns) for header in headers}) > 1,
        "pixel spacing": _varies((_spacing_mm(frame) for frame in frames), share=_NOISE_SHARE),
        "field of view": _varies(_fields_mm(headers), share=_NOISE_SHARE),
        "slice thickness": _varies(_thicknesses_mm(frames), share=_NOISE_SHARE, least=_NOISE_THICKNESS_MM),
    }
    what = [name for name, differs in found.items() if differs]
    return reason("several_reconstructions", what=_listed(what)) if what else None


def _spacing_mm(frame: FrameHeader) -> tuple[float, float]:
    return frame.row_spacing_mm, frame.column_spacing_mm


def _fields_mm(headers: Collection[Header]) -> Iterable[tuple[float, float]]:
    return (
        (header.rows * frame.row_spacing_mm, header.columns * frame.column_spacing_mm)
        for header in headers
        for frame in (header.frames[number] for number in header.slices)
    )


def _thicknesses_mm(frames: Collection[FrameHeader]) -> Iterable[tuple[float, ...]]:
    return ((frame.slice_thickness_mm,) if frame.slice_thickness_mm else () for frame in frames)


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

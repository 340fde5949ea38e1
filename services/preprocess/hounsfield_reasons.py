"""Reasons from RescaleType, image type and rescale: whether the values are Hounsfield units."""

from collections.abc import Collection, Iterator
from typing import Final

from services.common.acceptance import make_reason
from services.common.schemas import Reason
from services.preprocess.frame_header import FrameHeader
from services.preprocess.header import DicomHeader
from services.preprocess.units import read_unit

_MIN_SPAN_HU: Final = 1000.0  # from air, -1000 HU, to water
_MAX_SLOPE: Final = 100.0
_MAX_INTERCEPT_HU: Final = 32768.0


def hounsfield_reasons(headers: Collection[DicomHeader]) -> list[Reason]:
    """Refusals and warnings for all headers of one series."""
    frames = [header.frames[number] for header in headers for number in header.axial_frames]
    units = {read_unit(rescale_type) for rescale_type in {frame.rescale_type for frame in frames}}
    kinds = {frame.image_kind for frame in frames}
    others = [f"RescaleType says {unit.evidence}" for unit in units if unit.kind == "other"]
    others += [kind.evidence for kind in kinds if kind.kind == "map"]
    found = [make_reason("not_hounsfield", evidence=min(others))] if others else []
    found += [make_reason("implausible_rescale", slope=slope, intercept=hu) for slope, hu in _implausible(headers)][:1]
    if any(unit.kind == "unspecified" for unit in units):
        found.append(make_reason("unspecified_units"))
    if any(kind.kind == "monoenergetic" for kind in kinds):
        found.append(make_reason("monoenergetic"))
    return found


def _implausible(headers: Collection[DicomHeader]) -> Iterator[tuple[float, float]]:
    for header in headers:
        for number in header.axial_frames:
            frame = header.frames[number]
            if not _plausible(frame, header.bits_stored):
                yield frame.rescale_slope, frame.rescale_intercept


def _plausible(frame: FrameHeader, bits_stored: int) -> bool:
    """Whether the stored values can reach from air to water, in ascending order."""
    spans = frame.rescale_slope * (1 << bits_stored) >= _MIN_SPAN_HU
    return spans and frame.rescale_slope <= _MAX_SLOPE and abs(frame.rescale_intercept) <= _MAX_INTERCEPT_HU

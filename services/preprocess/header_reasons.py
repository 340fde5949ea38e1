"""Reasons from the headers of a series."""

from collections.abc import Collection, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from services.common.acceptance import MIN_SLICES_OF_A_HEAD, make_reason
from services.common.body_part import names_other_body_part, other_body_part
from services.common.convolution_kernel import read_kernel
from services.common.schemas import Reason
from services.preprocess.frame_header import FrameHeader
from services.preprocess.header import DicomHeader
from services.preprocess.hounsfield_reasons import hounsfield_reasons
from services.preprocess.modality_lut import stored_pixel_format
from services.preprocess.several_reconstructions import several_reconstructions

_LOWEST_KVP, _HIGHEST_KVP = 100, 140
_SAME_POSITION_MM: Final = 0.01
_UNEVEN_MM, _UNEVEN_SHARE = 0.1, 0.1
_WIDE_GAP_MM: Final = 12.0
_MIN_STACKED: Final = 0.8  # share of the positions with several slices, for several stacks


def header_reasons(headers: Collection[DicomHeader], in_order: Sequence[FrameHeader] = ()) -> list[Reason]:
    """Reasons from all headers of one series, without positions.

    Parameters
    ----------
    in_order : the frames in order, where another tag than ImagePositionPatient orders them
    """
    frames = [header.frames[number] for header in headers for number in header.axial_frames]
    found = [_body_part(headers), _kernel(frames), several_reconstructions(headers, in_order), _kvp(frames)]
    if (patients := len({header.patient for header in headers if header.patient})) > 1:
        found.append(make_reason("several_patients", patients=patients))
    slices = len(frames)
    if 1 < slices < MIN_SLICES_OF_A_HEAD:
        found.append(make_reason("few_slices", slices=slices))
    if tags := sorted({tag for header in headers for tag in header.contrast_tags}):
        found.append(make_reason("contrast", tags=" and ".join(tags)))
    if not all(frame.has_rescale for frame in frames):
        found.append(make_reason("no_rescale"))
    if any(
        stored_pixel_format(header, number).faulty_intercept for header in headers for number in header.axial_frames
    ):
        found.append(make_reason("intercept_repaired"))
    found += hounsfield_reasons(headers)
    return [item for item in found if item]


def position_reasons(position_mm: Sequence[float]) -> list[Reason]:
    """Reasons from the positions along the normal, ascending, in mm."""
    steps = [after - before for before, after in pairwise(position_mm)]
    same = [step < _SAME_POSITION_MM for step in steps]
    gaps = [step for step, is_same in zip(steps, same, strict=True) if not is_same]
    reasons = _shared_positions(same)
    if gaps and max(gaps) > _WIDE_GAP_MM:
        reasons.append(make_reason("wide_gap", gap=max(gaps)))
    if gaps and max(gaps) - min(gaps) > max(_UNEVEN_MM, _UNEVEN_SHARE * median(gaps)):
        reasons.append(make_reason("uneven_spacing", low=min(gaps), high=max(gaps)))
    return reasons


def _shared_positions(same: Sequence[bool]) -> list[Reason]:
    """Warnings about positions with several slices; `same` holds for each step between slices whether it is zero."""
    shared = sum(before or after for before, after in pairwise([False, *same, False]))
    positions = 1 + same.count(False)
    several = positions - sum(not (before or after) for before, after in pairwise([False, *same, False]))
    if positions > 1 and several >= _MIN_STACKED * positions:
        return [make_reason("several_stacks", positions=positions)]
    return [make_reason("duplicate_positions", slices=shared)] if shared else []


def _body_part(headers: Collection[DicomHeader]) -> Reason | None:
    """A refusal if most slices name another part; a warning if fewer do, as for a foot among slices of a head."""
    others = [header for header in headers if names_other_body_part(header.body_part_examined)]
    if not others:
        return None
    named = {part for header in others if (part := other_body_part(header.body_part_examined))}
    slices, total = (sum(header.number_of_frames for header in some) for some in (others, headers))
    code = "other_body_part" if slices > total / 2 else "mixed_body_parts"
    return make_reason(code, part=" and ".join(sorted(named)), slices=slices, total=total)


def _kernel(frames: Collection[FrameHeader]) -> Reason | None:
    kernels = {read_kernel(kernel) for kernel in {frame.convolution_kernel for frame in frames}}
    sharp = sorted(kernel.word for kernel in kernels if kernel.kind == "sharp")
    return make_reason("bone_kernel", kernel=sharp[0]) if sharp else None


def _kvp(frames: Collection[FrameHeader]) -> Reason | None:
    """A warning about KVP; pseudonymised files lack it or state 0, which does not count."""
    given = {frame.kvp for frame in frames if frame.kvp}
    unusual = sorted(kvp for kvp in given if not _LOWEST_KVP <= kvp <= _HIGHEST_KVP)
    return make_reason("unusual_kvp", kvp=unusual[0]) if unusual else None

"""Headers to series: grouped by UID, ordered along the slice normal towards the head, whatever the order sent."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from services.common.schemas import (
    FramesCode,
    HeadersReport,
    MultiFrameFile,
    SeriesHeader,
    SetAsideFile,
    SetAsideFrames,
    SliceReference,
)
from services.preprocess.convolution_kernel import read_kernel
from services.preprocess.errors import IncompleteHeader, UnreadableFile
from services.preprocess.geometry_reasons import geometry_reasons
from services.preprocess.header import DicomHeader
from services.preprocess.header_reasons import header_reasons
from services.preprocess.slice_order import Slice, order_slices


@dataclass(frozen=True, slots=True)
class PngEntry:
    """A PNG in place of a header: it says nothing about itself."""


def group_into_series(entries: Sequence[DicomHeader | PngEntry | UnreadableFile | IncompleteHeader]) -> HeadersReport:
    """Sort what was read of each file, in the order sent, into series and files to set aside.

    Series stand in the order of their UIDs, pictures after them. Every axial frame of a file is an item of its own; its
    other frames are set aside, and the file as a whole where no frame is left.
    """
    groups: defaultdict[tuple[str, str], list[Slice]] = defaultdict(list)
    set_aside: list[SetAsideFile] = []
    frames_set_aside: list[SetAsideFrames] = []
    pictures, incomplete = [], []
    for file, entry in enumerate(entries):
        if isinstance(entry, IncompleteHeader):
            incomplete.append(file)
        elif isinstance(entry, PngEntry):
            pictures.append(SliceReference(file=file))
        elif isinstance(entry, UnreadableFile):
            study_uid, uid = entry.uids or (None, None)
            set_aside.append(SetAsideFile(file=file, code=entry.code, tag=entry.tag, uid=uid, study_uid=study_uid))
        elif not (entry.is_ct_slice and entry.axial_frames):
            set_aside.append(SetAsideFile(file=file, code="not_a_ct_slice"))
        else:
            groups[entry.study_instance_uid, entry.series_instance_uid] += [
                Slice(file, frame, entry) for frame in entry.axial_frames
            ]
            frames_set_aside += _others(file, entry)
    series = [_series(groups[uids]) for uids in sorted(groups)]
    return HeadersReport(
        series=(*series, *_pictures(pictures)),
        set_aside=tuple(set_aside),
        frames_set_aside=tuple(frames_set_aside),
        incomplete=tuple(incomplete),
    )


def _others(file: int, header: DicomHeader) -> list[SetAsideFrames]:
    """The frames of a file that are no axial slices."""
    others = [number for number in range(len(header.frames)) if number not in set(header.axial_frames)]
    scouts = tuple(number for number in others if header.frames[number].is_localizer)
    planes = tuple(number for number in others if not header.frames[number].is_localizer)
    found: tuple[tuple[FramesCode, tuple[int, ...]], ...] = (("localizer", scouts), ("other_plane", planes))
    return [SetAsideFrames(file=file, frames=frames, code=code) for code, frames in found if frames]


def _series(slices: Sequence[Slice]) -> SeriesHeader:
    found, position_mm, said = order_slices(slices)
    items = tuple(
        SliceReference(file=item.file, frame=item.frame, sop_instance_uid=item.header.sop_instance_uid or None)
        for item in found
    )
    ranked = sorted(found, key=lambda item: item.sort_key)
    headers = {item.file: item.header for item in ranked}
    substituted = any(item.code == "no_position" for item in said)
    reasons = header_reasons(headers.values(), [item.frame_header for item in found] if substituted else ())
    reasons += geometry_reasons([(item.header, item.frame_header) for item in ranked], position_mm)
    header, first = ranked[0].header, ranked[0].frame_header
    return SeriesHeader(
        uid=header.series_instance_uid,
        study_uid=header.study_instance_uid,
        items=items,
        position_mm=position_mm,
        reasons=(*reasons, *said),
        kernel=read_kernel(first.convolution_kernel).kind,
        thickness_mm=first.slice_thickness_mm,
        contrast=any(item.header.contrast_tags for item in ranked),
        derived=any("DERIVED" in item.frame_header.image_type[:1] for item in ranked),
        stacks=tuple(
            MultiFrameFile(file=file, pixels_at=own.pixel_data.start, frame_bytes=own.frame_bytes)
            for file, own in headers.items()
            if own.native and own.number_of_frames > 1
        ),
    )


def _pictures(items: Sequence[SliceReference]) -> list[SeriesHeader]:
    """Pictures in the order sent. They belong together no more than that."""
    if not items:
        return []
    return [SeriesHeader(uid=None, study_uid=None, items=tuple(items), position_mm=(0.0,) * len(items))]

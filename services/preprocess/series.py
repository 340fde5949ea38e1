"""Groups headers into series by UID, each ordered along the slice normal towards the head."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from services.common.convolution_kernel import read_kernel
from services.common.schemas import (
    EncapsulatedFile,
    FramesCode,
    HeadersReport,
    MultiFrameFile,
    SeriesHeader,
    SetAsideFile,
    SetAsideFrames,
    SliceReference,
)
from services.preprocess.decoding_cost import frame_cost
from services.preprocess.errors import IncompleteHeader, UnreadableFile
from services.preprocess.geometry_reasons import geometry_reasons
from services.preprocess.header import DicomHeader
from services.preprocess.header_reasons import header_reasons
from services.preprocess.slice_geometry import picture_geometry, slice_geometry
from services.preprocess.slice_order import Slice, order_slices

_NONE_KNOWN: Final[Mapping[int, tuple[int, ...]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PngEntry:
    """A PNG, which has no header."""


def group_into_series(
    entries: Sequence[DicomHeader | PngEntry | UnreadableFile | IncompleteHeader],
    frames_at: Mapping[int, tuple[int, ...]] = _NONE_KNOWN,
) -> HeadersReport:
    """Sort the headers of files, in upload order, into series and files to set aside.

    Series stand in the order of their UIDs, PNG slices after them. Every axial frame is a slice. Other frames are set
    aside, or the whole file where it has no axial frame.

    Parameters
    ----------
    frames_at : by file, the places of compressed frames, see `frame_places`
    """
    groups: defaultdict[tuple[str, str], list[Slice]] = defaultdict(list)
    set_aside: list[SetAsideFile] = []
    frames_set_aside: list[SetAsideFrames] = []
    png_slices, incomplete = [], []
    for file, entry in enumerate(entries):
        if isinstance(entry, IncompleteHeader):
            incomplete.append(file)
        elif isinstance(entry, PngEntry):
            png_slices.append(SliceReference(file=file, geometry=0))
        elif isinstance(entry, UnreadableFile):
            study_uid, uid = entry.uids or (None, None)
            set_aside.append(SetAsideFile(file=file, code=entry.code, tag=entry.tag, uid=uid, study_uid=study_uid))
        elif not (entry.is_ct_slice and entry.axial_frames):
            set_aside.append(SetAsideFile(file=file, code="not_a_ct_slice"))
        else:
            slices = [Slice(file, frame, entry) for frame in entry.axial_frames]
            groups[entry.study_instance_uid, entry.series_instance_uid] += slices
            frames_set_aside += _other_frames(file, entry)
    series = [_series(groups[uids], frames_at) for uids in sorted(groups)]
    return HeadersReport(
        series=(*series, *_png_series(png_slices)),
        set_aside=tuple(set_aside),
        frames_set_aside=tuple(frames_set_aside),
        incomplete=tuple(incomplete),
    )


def _other_frames(file: int, header: DicomHeader) -> list[SetAsideFrames]:
    """The frames of a file that are no axial slices."""
    others = [number for number in range(len(header.frames)) if number not in set(header.axial_frames)]
    localizers = tuple(number for number in others if header.frames[number].is_localizer)
    planes = tuple(number for number in others if not header.frames[number].is_localizer)
    found: tuple[tuple[FramesCode, tuple[int, ...]], ...] = (("localizer", localizers), ("other_plane", planes))
    return [SetAsideFrames(file=file, frames=frames, code=code) for code, frames in found if frames]


def _series(slices: Sequence[Slice], frames_at: Mapping[int, tuple[int, ...]]) -> SeriesHeader:
    ordered, position_mm, order_reasons = order_slices(slices)
    by_key = sorted(ordered, key=lambda item: item.sort_key)
    headers = {item.file: item.header for item in by_key}
    substituted = any(item.code == "no_position" for item in order_reasons)
    reasons = header_reasons(headers.values(), [item.frame_header for item in ordered] if substituted else ())
    reasons += geometry_reasons([(item.header, item.frame_header) for item in by_key], position_mm)
    header, first = by_key[0].header, by_key[0].frame_header
    placed = [slice_geometry(item.header.rows, item.header.columns, item.frame_header) for item in ordered]
    numbers = {geometry: number for number, geometry in enumerate(dict.fromkeys(placed))}
    return SeriesHeader(
        uid=header.series_instance_uid,
        study_uid=header.study_instance_uid,
        items=tuple(_reference(item, numbers[geometry]) for item, geometry in zip(ordered, placed, strict=True)),
        geometries=tuple(numbers),
        position_mm=position_mm,
        reasons=(*reasons, *order_reasons),
        kernel=read_kernel(first.convolution_kernel).kind,
        thickness_mm=first.slice_thickness_mm,
        contrast=any(item.header.contrast_tags for item in by_key),
        derived=any("DERIVED" in item.frame_header.image_type[:1] for item in by_key),
        stacks=tuple(
            MultiFrameFile(file=file, pixels_at=header.pixel_data.start, frame_bytes=header.frame_bytes)
            for file, header in headers.items()
            if header.native and header.number_of_frames > 1
        ),
        encapsulated=tuple(
            EncapsulatedFile(file=file, pixels_at=header.pixel_data.start, frames_at=frames_at[file])
            for file, header in headers.items()
            if frames_at.get(file)
        ),
        description=header.texts.description(),
        patient_digest=_patient_digest([item.header for item in by_key]),
    )


def _patient_digest(headers: Sequence[DicomHeader]) -> str | None:
    """The digest of the series' patient; None where its headers name several."""
    return headers[0].texts.patient_digest() if len({header.patient for header in headers}) == 1 else None


def _reference(item: Slice, geometry: int) -> SliceReference:
    header = item.header
    return SliceReference(
        file=item.file,
        frame=item.frame,
        sop_instance_uid=header.sop_instance_uid or None,
        cost=frame_cost(header.frame_format),
        geometry=geometry,
    )


def _png_series(items: Sequence[SliceReference]) -> list[SeriesHeader]:
    """PNG slices in upload order, as one entry; they need not belong together."""
    if not items:
        return []
    position_mm, geometries = (0.0,) * len(items), (picture_geometry(),)
    return [SeriesHeader(uid=None, study_uid=None, items=tuple(items), position_mm=position_mm, geometries=geometries)]

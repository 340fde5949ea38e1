"""Headers to series: grouped by UID, ordered along the slice normal towards the head, whatever the order sent."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.common.schemas import FramesCode, FramesSetAside, HeadersReport, Item, SeriesHeader, SetAside, Stack
from services.preprocess.failures import HeaderGoesOn, Unreadable
from services.preprocess.frames import FrameHeader
from services.preprocess.geometry import Vector, along, normal
from services.preprocess.geometry_reasons import geometry_reasons
from services.preprocess.header import Header
from services.preprocess.header_reasons import header_reasons, position_reasons
from services.preprocess.kernels import read_kernel

_UNKNOWN_SPACING_MM: Final = 5.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG in place of a header: it says nothing about itself."""


@dataclass(frozen=True, slots=True)
class _Slice:
    file: int
    frame: int
    header: Header

    @property
    def found(self) -> FrameHeader:
        return self.header.frames[self.frame]

    @property
    def rank(self) -> tuple[float, str, int, Vector, Vector]:
        """What orders slices whose positions do not; the order sent must never."""
        number = float("inf") if self.header.instance_number is None else self.header.instance_number
        place, orientation = self.found.position_mm or (), self.found.orientation or ()
        return number, self.header.sop_instance_uid, self.frame, place, orientation


def arrange(entries: Sequence[Header | Picture | Unreadable | HeaderGoesOn]) -> HeadersReport:
    """Sort what was read of each file, in the order sent, into series and files to set aside.

    Series stand in the order of their UIDs, pictures after them. Every axial frame of a file is an item of its own; its
    other frames are set aside, and the file as a whole where no frame is left.
    """
    groups: defaultdict[tuple[str, str], list[_Slice]] = defaultdict(list)
    set_aside: list[SetAside] = []
    frames_set_aside: list[FramesSetAside] = []
    pictures, incomplete = [], []
    for file, entry in enumerate(entries):
        if isinstance(entry, HeaderGoesOn):
            incomplete.append(file)
        elif isinstance(entry, Picture):
            pictures.append(Item(file=file))
        elif isinstance(entry, Unreadable):
            study_uid, uid = entry.uids or (None, None)
            set_aside.append(SetAside(file=file, code=entry.code, tag=entry.tag, uid=uid, study_uid=study_uid))
        elif not (entry.is_ct_slice and entry.slices):
            set_aside.append(SetAside(file=file, code="not_a_ct_slice"))
        else:
            groups[entry.study_uid, entry.series_uid] += [_Slice(file, frame, entry) for frame in entry.slices]
            frames_set_aside += _others(file, entry)
    series = [_series(groups[uids]) for uids in sorted(groups)]
    return HeadersReport(
        series=(*series, *_pictures(pictures)),
        set_aside=tuple(set_aside),
        frames_set_aside=tuple(frames_set_aside),
        incomplete=tuple(incomplete),
    )


def _others(file: int, header: Header) -> list[FramesSetAside]:
    """The frames of a file that are no axial slices."""
    others = [number for number in range(len(header.frames)) if number not in set(header.slices)]
    scouts = tuple(number for number in others if header.frames[number].is_localizer)
    planes = tuple(number for number in others if not header.frames[number].is_localizer)
    found: tuple[tuple[FramesCode, tuple[int, ...]], ...] = (("localizer", scouts), ("other_plane", planes))
    return [FramesSetAside(file=file, frames=frames, code=code) for code, frames in found if frames]


def _series(slices: Sequence[_Slice]) -> SeriesHeader:
    ranked = sorted(slices, key=lambda item: item.rank)
    located = _located(ranked)
    ordered = located or _spaced(ranked)
    position_mm = tuple(round(position - ordered[0][0], 4) for position, _ in ordered)
    items = tuple(
        Item(file=item.file, frame=item.frame, sop_instance_uid=item.header.sop_instance_uid or None)
        for _, item in ordered
    )
    headers = {item.file: item.header for item in ranked}
    reasons = header_reasons(headers.values())
    reasons += geometry_reasons([(item.header, item.found) for item in ranked], position_mm)
    reasons += position_reasons(position_mm if located else None)
    header, first = ranked[0].header, ranked[0].found
    return SeriesHeader(
        uid=header.series_uid,
        study_uid=header.study_uid,
        items=items,
        position_mm=position_mm,
        reasons=tuple(reasons),
        kernel=read_kernel(first.kernel).kind,
        thickness_mm=first.slice_thickness_mm,
        contrast=any(item.header.contrast_tags for item in ranked),
        derived=any("DERIVED" in item.found.image_type[:1] for item in ranked),
        stacks=tuple(
            Stack(file=file, pixels_at=found.pixels.start, frame_bytes=found.frame_bytes)
            for file, found in headers.items()
            if found.native and found.frame_count > 1
        ),
    )


def _located(ranked: Sequence[_Slice]) -> list[tuple[float, _Slice]] | None:
    """Slices by their position along the series' normal, in mm; None if positions are missing."""
    direction = normal(ranked[0].found.orientation)
    located = []
    for item in ranked:
        if item.found.position_mm is None or _one_position_for_all_frames(item.header):
            return None
        located.append((along(direction, item.found.position_mm), item))
    return sorted(located, key=lambda pair: pair[0])


def _one_position_for_all_frames(header: Header) -> bool:
    """A multi-frame file without functional groups has one position in its header, for none of its frames."""
    return len(header.slices) > 1 and len({header.frames[number].position_mm for number in header.slices}) == 1


def _spaced(ranked: Sequence[_Slice]) -> list[tuple[float, _Slice]]:
    first = ranked[0].found
    given = (abs(value) for value in (first.slice_spacing_mm, first.slice_thickness_mm) if value)
    spacing_mm = next(given, _UNKNOWN_SPACING_MM)
    return [(index * spacing_mm, item) for index, item in enumerate(ranked)]


def _pictures(items: Sequence[Item]) -> list[SeriesHeader]:
    """Pictures in the order sent. They belong together no more than that."""
    if not items:
        return []
    return [SeriesHeader(uid=None, study_uid=None, items=tuple(items), position_mm=(0.0,) * len(items))]

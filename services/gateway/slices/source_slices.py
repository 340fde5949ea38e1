"""Finds the file and frame of each slice of a report. Where names leave a doubt, the headers are read again."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Final

from services.common.schemas import EncapsulatedFile, MultiFrameFile, SeriesHeader, SliceReference
from services.gateway.jobs.schemas import StoredFile
from services.gateway.slices.problems import AmbiguousSlice, NoPicture

_PIXELS: Final = 512 * 512
Stack = MultiFrameFile | EncapsulatedFile
_LARGE_FILE_BYTES: Final = 2 * 1024**2  # such a file is likely to have many frames


@dataclass(frozen=True, slots=True)
class SourceSlices:
    """The slices of a report by their index, and the files of the series in the order of the plan.

    slabs : of each slice; None where nothing was averaged
    stacks : files that can be sent in part
    has_hu : false for uploaded PNGs
    """

    files: tuple[StoredFile, ...]
    items: tuple[SliceReference, ...]
    slabs: tuple[int | None, ...]
    key_slices: frozenset[int]
    has_hu: bool
    stacks: tuple[Stack, ...] = ()

    def item(self, index: int) -> SliceReference:
        """One slice; NoPicture where there is none of this index."""
        if not 0 <= index < len(self.items):
            last = len(self.items) - 1
            raise NoPicture(f"slice {index} has none: the series has slices 0 to {last}")
        return self.items[index]

    def slab(self, index: int) -> tuple[SliceReference, ...]:
        """The slices that were averaged with one; that slice alone where nothing was averaged."""
        own, slab = self.item(index), self.slabs[index]
        if slab is None:
            return (own,)
        return tuple(item for item, number in zip(self.items, self.slabs, strict=True) if number == slab)

    @property
    def large_files(self) -> list[int]:
        """Files that probably have many frames, by index in `files`."""
        return [number for number in {item.file for item in self.items} if self.files[number].size > _LARGE_FILE_BYTES]

    def with_stacks(self, numbers: Sequence[int], found: Sequence[Stack]) -> "SourceSlices":
        """With the stacks of some files, which count from 0 in `numbers`."""
        stacks = (stack.model_copy(update={"file": numbers[stack.file]}) for stack in found)
        return replace(self, stacks=tuple(stacks))


def slices_by_name(report: Mapping[str, Any], files: Sequence[StoredFile]) -> SourceSlices | None:
    """The slices of a report by file name and frame; None where a name or frame leaves a doubt.

    Raises
    ------
    NoPicture
        the series has failed, so that its report has no slices
    """
    slices: Sequence[Mapping[str, Any]] = report.get("slices", ())
    if not slices:
        raise NoPicture("the series has failed, so its report has no slices; the report says why")
    counts = Counter(file.name for file in files)
    if any(counts[part["file"]] != 1 or part.get("frame") is None for part in slices):
        return None
    numbers = {file.name: number for number, file in enumerate(files)}
    return _source_slices(report, files, [_reference(part, numbers[part["file"]]) for part in slices])


def slices_by_header(report: Mapping[str, Any], files: Sequence[StoredFile], header: SeriesHeader) -> SourceSlices:
    """The slices of a report by the headers of its files, read again.

    Raises
    ------
    AmbiguousSlice
        the headers' slices are not those of the report
    """
    slices: Sequence[Mapping[str, Any]] = report["slices"]
    if len(slices) != len(header.items) or not all(
        _is_same(part, item, files) for part, item in zip(slices, header.items, strict=False)
    ):
        raise AmbiguousSlice(
            "files of this series have equal names, and their headers do not tell which is which; send the files in a "
            "new job, each with a name of its own"
        )
    return replace(_source_slices(report, files, header.items), stacks=(*header.stacks, *header.encapsulated))


def _source_slices(
    report: Mapping[str, Any], files: Sequence[StoredFile], items: Sequence[SliceReference]
) -> SourceSlices:
    series = report.get("series") or {}
    return SourceSlices(
        files=tuple(files),
        items=tuple(items),
        slabs=tuple(part.get("slab") for part in report["slices"]),
        key_slices=frozenset(report.get("key_slices", ())),
        has_hu=series.get("series_instance_uid") is not None,
    )


def _reference(part: Mapping[str, Any], file: int) -> SliceReference:
    geometry = part.get("geometry") or {}
    pixels = geometry.get("rows", 0) * geometry.get("columns", 0)
    return SliceReference(file=file, frame=part["frame"], cost=max(1, ceil(pixels / _PIXELS)))


def _is_same(part: Mapping[str, Any], item: SliceReference, files: Sequence[StoredFile]) -> bool:
    known_frame = part.get("frame") in (None, item.frame)
    return known_frame and (part["file"], part["sop_instance_uid"]) == (files[item.file].name, item.sop_instance_uid)

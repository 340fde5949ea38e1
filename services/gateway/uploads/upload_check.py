"""Decides which files of an upload make its series, are set aside with a note, or make it unusable."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from services.common.acceptance import make_reason
from services.common.file_codes import SET_ASIDE_FRAMES, UNUSABLE_FILES, describe_file_code
from services.common.schemas import (
    Evidence,
    HeadersReport,
    Reason,
    SeriesHeader,
    SetAsideFile,
    SetAsideFrames,
    SliceReference,
)
from services.common.series_selection import select_best_series
from services.gateway.uploads.archive_formats import is_system_file
from services.gateway.uploads.spool import UploadedFile
from services.gateway.uploads.upload_problems import (
    MixedSeries,
    NotACtSlice,
    RefusedFile,
    TooCostly,
    UnsupportedFile,
    UnusableFiles,
    UnusableUpload,
    bad_file,
    bad_files,
)

SYSTEM_FILE: Final = "system_file"
_SYSTEM_FILES_NAMED: Final = 5
_CORRUPT: Final = "corrupt_header"
_DICOM_EXTENSIONS: Final = (".dcm", ".dicom", ".ima")


def single_series(files: Sequence[UploadedFile], report: HeadersReport) -> SeriesHeader:
    """The one series of an upload; a problem with the reason where there is not exactly one."""
    if corrupt := unusable_files(files, report):
        raise bad_files(UnusableFiles, corrupt)
    if len(report.series) > 1:
        found = [_listed(files, series) for series in report.series]
        best = select_best_series(report.series)
        advice = {"best": {"series_instance_uid": best.uid, "why": best.reason}} if best else {}
        raise MixedSeries(f"{len(found)} series were sent; send one at a time", series=found, **advice)
    if not report.series:
        aside = [bad_file(files[item.file].name, item.code, item.tag) for item in report.set_aside]
        raise bad_files(_kind(item.code for item in aside), aside)
    return report.series[0]


def _listed(files: Sequence[UploadedFile], series: SeriesHeader) -> dict[str, Any]:
    names = sorted({files[item.file].name for item in series.items})
    return {"series_instance_uid": series.uid, "slices": len(series.items), "files": names}


def _kind(codes: Iterable[str]) -> type[UnusableUpload | UnsupportedFile]:
    found = set(codes)
    if found <= {"not_dicom", SYSTEM_FILE}:
        return UnsupportedFile
    return NotACtSlice if found <= {"not_a_ct_slice", SYSTEM_FILE} else UnusableUpload


def unusable_files(files: Sequence[UploadedFile], report: HeadersReport) -> list[RefusedFile]:
    """Corrupt files, and beside a series files with an extension of DICOM that are none: they are never set aside."""
    return [
        bad_file(files[item.file].name, item.code, item.tag)
        for item in report.set_aside
        if item.code in UNUSABLE_FILES or (report.series and _has_false_extension(files, item))
    ]


def _has_false_extension(files: Sequence[UploadedFile], item: SetAsideFile) -> bool:
    return item.code == "not_dicom" and files[item.file].name.lower().endswith(_DICOM_EXTENSIONS)


def left_out_files(files: Sequence[UploadedFile], aside: Iterable[SetAsideFile]) -> list[SetAsideFile]:
    """Files that a job leaves out beside its series; the operating system's files last.

    A file that has an extension of DICOM and is none gets the code of a corrupt file: a prediction would be refused.
    """
    marked = [
        item.model_copy(update={"code": _CORRUPT}) if _has_false_extension(files, item) else item for item in aside
    ]
    return sorted(marked, key=lambda item: item.code == SYSTEM_FILE)


def set_aside_notes(files: Sequence[UploadedFile], report: HeadersReport) -> tuple[Reason, ...]:
    """A note for each file that was set aside; one note for many files of the operating system."""
    system = [item for item in report.set_aside if item.code == SYSTEM_FILE]
    others = [item for item in report.set_aside if item.code != SYSTEM_FILE]
    named, more = (system, 0) if len(system) <= _SYSTEM_FILES_NAMED else (system[:1], len(system) - 1)
    end = f" and {more} more" if more else ""
    return (
        *(_note(files[item.file].name, item) for item in others),
        *(_note(files[item.file].name + end, item) for item in named),
        *(_frames_note(files[item.file].name, item) for item in report.frames_set_aside),
    )


def _note(name: str, item: SetAsideFile) -> Reason:
    return make_reason("file_set_aside", file=name, why=describe_file_code(item.code, item.tag))


def _frames_note(name: str, item: SetAsideFrames) -> Reason:
    why = SET_ASIDE_FRAMES[item.code]
    return make_reason("frames_set_aside", file=name, frames=_ranges(item.frames), why=why)


def _ranges(frames: Sequence[int]) -> str:
    """Frames counted from 0 as text that counts from 1: 0, 1, 2 and 4 are "1-3, 5"."""
    runs: list[tuple[int, int]] = []
    for frame in sorted(frames):
        follows = runs and runs[-1][1] == frame - 1
        runs[-1:] = [(runs[-1][0], frame)] if follows else [*runs[-1:], (frame, frame)]
    return ", ".join(f"{first + 1}" if first == last else f"{first + 1}-{last + 1}" for first, last in runs)


def mark_system_files(files: Sequence[UploadedFile], report: HeadersReport) -> HeadersReport:
    """The report with the code of a system file for each that was set aside and has the name of one.

    The name alone is not enough: a DICOM or PNG file with such a name is assessed.
    """
    return report.model_copy(update={"set_aside": tuple(_marked(files, item) for item in report.set_aside)})


def _marked(files: Sequence[UploadedFile], item: SetAsideFile) -> SetAsideFile:
    is_system = item.code in ("not_dicom", "empty_file") and is_system_file(files[item.file].name)
    return item.model_copy(update={"code": SYSTEM_FILE}) if is_system else item


def check_cost(header: SeriesHeader, limit: int) -> None:
    """TooCostly where decoding the series would take longer than so many slices of 512 x 512."""
    if header.cost > limit:
        raise TooCostly(
            f"decoding the {len(header.items)} slices takes as long as {header.cost} slices of 512 x 512 in JPEG 2000, "
            f"and a series may take {limit}; send fewer slices, smaller ones, or others than JPEG 2000",
        )


def check_decoded(files: Sequence[UploadedFile], items: Sequence[SliceReference], evidence: Sequence[Evidence]) -> None:
    """UnusableFiles where a slice could not be decoded; names every such file."""
    failed = {files[item.file].name: seen.failed for item, seen in zip(items, evidence, strict=True) if seen.failed}
    if failed:
        raise bad_files(UnusableFiles, (bad_file(name, code) for name, code in failed.items()))

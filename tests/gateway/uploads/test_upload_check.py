from pathlib import Path

import pytest

from services.common.schemas import Evidence, HeadersReport, SeriesHeader, SetAsideFile, SetAsideFrames, SliceReference
from services.gateway.uploads.spool import UploadedFile
from services.gateway.uploads.upload_check import (
    check_decoded,
    left_out_files,
    mark_system_files,
    set_aside_notes,
    single_series,
    unusable_files,
)
from services.gateway.uploads.upload_problems import (
    MixedSeries,
    NotACtSlice,
    UnsupportedFile,
    UnusableFiles,
    UnusableUpload,
)


def _files(*names: str) -> list[UploadedFile]:
    return [UploadedFile(name, Path("/nowhere"), 1) for name in names]


def _series(*files: int, uid: str = "1") -> SeriesHeader:
    items = tuple(SliceReference(file=file) for file in files)
    return SeriesHeader(uid=uid, study_uid="1", items=items, position_mm=tuple(map(float, files)))


def _aside(*codes: str) -> tuple[SetAsideFile, ...]:
    return tuple(SetAsideFile(file=file, code=code) for file, code in enumerate(codes))


def test_the_only_series_is_the_series_of_the_upload() -> None:
    report = HeadersReport(series=(_series(0, 1),))
    assert single_series(_files("a", "b"), report) == report.series[0]


@pytest.mark.parametrize(
    ("codes", "problem"),
    [
        (("not_dicom", "system_file"), UnsupportedFile),
        (("not_a_ct_slice", "system_file"), NotACtSlice),
        (("not_a_ct_slice", "not_dicom"), UnusableUpload),
        (("not_dicom", "truncated"), UnusableFiles),
    ],
)
def test_an_upload_without_a_series_has_the_problem_of_its_files(codes: tuple[str], problem: type[Exception]) -> None:
    with pytest.raises(problem) as refused:
        single_series(_files("a", "b"), HeadersReport(set_aside=_aside(*codes)))
    assert type(refused.value) is problem


def test_several_series_are_listed_with_their_files() -> None:
    report = HeadersReport(series=(_series(0, 2), _series(1, uid="2")))
    with pytest.raises(MixedSeries) as refused:
        single_series(_files("a", "b", "c"), report)
    listed = [(item["series_instance_uid"], item["slices"], item["files"]) for item in refused.value.extra["series"]]
    assert listed == [("1", 2, ["a", "c"]), ("2", 1, ["b"])]


def test_a_file_with_an_extension_of_dicom_is_unusable_only_beside_a_series() -> None:
    files = _files("notes.dcm", "b")
    alone = HeadersReport(set_aside=_aside("not_dicom"))
    assert unusable_files(files, alone) == []
    beside = alone.model_copy(update={"series": (_series(1),)})
    assert [file.file for file in unusable_files(files, beside)] == ["notes.dcm"]
    assert [item.code for item in left_out_files(files, beside.set_aside)] == ["corrupt_header"]


def test_system_files_are_marked_and_have_one_note() -> None:
    names = ["._0.dcm", "notes.txt", *(f"._{number}.dcm" for number in range(1, 9))]
    report = HeadersReport(set_aside=_aside(*["not_dicom"] * 10), series=(_series(10),))
    marked = mark_system_files(_files(*names), report)
    assert [item.code for item in marked.set_aside].count("system_file") == 9
    notes = [note.detail for note in set_aside_notes(_files(*names), marked)]
    assert [note.partition(":")[0] for note in notes] == ["notes.txt", "._0.dcm and 8 more"]
    assert next(item.file for item in left_out_files(_files(*names), marked.set_aside)) == 1


def test_frames_that_were_set_aside_count_from_1() -> None:
    frames = SetAsideFrames(file=0, frames=(4, 0, 1, 2), code="localizer")
    (note,) = set_aside_notes(_files("e.dcm"), HeadersReport(frames_set_aside=(frames,)))
    assert note.detail == "e.dcm: frames 1-3, 5 (localizer) were not assessed."


def test_every_file_that_was_not_decoded_is_named_once() -> None:
    items = [SliceReference(file=0), SliceReference(file=1), SliceReference(file=1, frame=1)]
    evidence = [Evidence(), Evidence(failed="truncated"), Evidence(failed="truncated")]
    check_decoded(_files("a", "b"), items, [Evidence()] * 3)
    with pytest.raises(UnusableFiles) as refused:
        check_decoded(_files("a", "b"), items, evidence)
    assert [(file["file"], file["code"]) for file in refused.value.extra["files"]] == [("b", "truncated")]

"""Files of one instance are compared by their contents."""

from pathlib import Path

import pytest

from services.common.schemas import SeriesHeader, SliceReference
from services.gateway.uploads.duplicate_files import duplicate_notes, find_duplicates, with_upload_numbers
from services.gateway.uploads.spool import UploadedFile
from services.gateway.uploads.upload_problems import ConflictingInstances

LONG = b"a" * (1 << 20)


def spooled(folder: Path, *contents: bytes) -> list[UploadedFile]:
    files = []
    for number, content in enumerate(contents):
        path = folder / str(number)
        path.write_bytes(content)
        files.append(UploadedFile(f"{number}.dcm", path, len(content)))
    return files


def test_equal_files_are_duplicates_of_the_first(tmp_path: Path) -> None:
    files = spooled(tmp_path, b"x", LONG + b"b", LONG + b"b", LONG + b"b")
    copies = find_duplicates(files, [[1, 2, 3]])
    assert copies == {2: 1, 3: 1}
    assert [note.detail for note in duplicate_notes(files, copies)] == [
        "2.dcm is a copy of 1.dcm; it counts once.",
        "3.dcm is a copy of 1.dcm; it counts once.",
    ]
    assert {note.severity for note in duplicate_notes(files, copies)} == {"note"}


@pytest.mark.parametrize("other", [LONG + b"c", LONG, LONG + b"bb"])
def test_different_files_are_refused_by_name(tmp_path: Path, other: bytes) -> None:
    files = spooled(tmp_path, LONG + b"b", b"x", other, LONG + b"b")
    with pytest.raises(ConflictingInstances) as caught:
        find_duplicates(files, [[0, 2, 3]])
    assert (caught.value.status, caught.value.code) == (422, "conflicting_instances")
    assert [file["file"] for file in caught.value.extra["files"]] == ["0.dcm", "2.dcm"]
    assert caught.value.detail.startswith("0.dcm and 2.dcm have the same SOPInstanceUID and differ;")


def test_many_conflicts_are_all_listed(tmp_path: Path) -> None:
    with pytest.raises(ConflictingInstances) as caught:
        find_duplicates(spooled(tmp_path, b"a", b"b", b"c", b"d"), [[0, 1], [2, 3]])
    assert [file["file"] for file in caught.value.extra["files"]] == ["0.dcm", "1.dcm", "2.dcm", "3.dcm"]
    assert "as do 2 more files" in caught.value.detail


def test_kept_files_have_their_numbers_in_the_upload() -> None:
    header = SeriesHeader(
        uid="1", study_uid="1", items=(SliceReference(file=1), SliceReference(file=0)), position_mm=(0, 5)
    )
    assert [item.file for item in with_upload_numbers(header, [2, 5]).items] == [5, 2]

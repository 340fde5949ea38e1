import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.archives import Files, files, name_of, write_folder, write_zip
from training.io.errors import TrainingError
from training.rsna.archive import ROOT, TABLE, Damaged, open_archive

HELD = files(2, 1)
Write = Callable[[Path, Files, str], Path]
WRITERS: tuple[Write, ...] = (write_zip, write_folder)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("top", ["", f"{ROOT}/"])
def test_zip_and_folder_with_and_without_the_folder_at_the_top_are_the_same(
    tmp_path: Path, write: Write, top: str
) -> None:
    archive = open_archive(write(tmp_path / "archive", HELD, top))
    names = (*archive.dicom_names("train"), *archive.dicom_names("test"))
    assert set(names) == set(HELD) - {TABLE}
    assert len(archive.dicom_names("test")) == 3
    for name in names:
        assert archive.read(name) == HELD[name]
        assert archive.size(name) == len(HELD[name])
        assert HELD[name].startswith(archive.read(name, 100))
        assert 0 < len(archive.read(name, 100)) <= 100


@pytest.mark.parametrize("write", WRITERS)
def test_nothing_is_written_into_it(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "archive", HELD, f"{ROOT}/")
    before = {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in tmp_path.rglob("*")}
    archive = open_archive(path)
    archive.labels()
    archive.read(name_of(0))
    assert {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("write", WRITERS)
def test_a_part_of_it_travels_to_another_process(tmp_path: Path, write: Write) -> None:
    archive = open_archive(write(tmp_path / "archive", HELD, ""))
    part = pickle.loads(pickle.dumps(archive.only([name_of(1)])))  # noqa: S301 - as multiprocessing does
    assert part.read(name_of(1)) == HELD[name_of(1)]
    assert list(part.sizes) == [name_of(1)]


@pytest.mark.parametrize("write", WRITERS)
def test_another_content_is_another_digest(tmp_path: Path, write: Write) -> None:
    first, again, other = (
        open_archive(write(tmp_path / name, held, "")).digest
        for name, held in (("a", HELD), ("b", HELD), ("c", HELD | {name_of(0): b"other"}))
    )
    assert first == again != other


def test_a_truncated_zip_is_an_error_in_one_sentence(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "archive.zip", HELD)
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:size])
        with pytest.raises(TrainingError, match=r"^\S+ is not a zip or is truncated: .* Download it again\.$"):
            open_archive(path)


@pytest.mark.parametrize("write", WRITERS)
def test_an_archive_of_another_kind_is_refused(tmp_path: Path, write: Write) -> None:
    with pytest.raises(TrainingError, match="not the challenge's archive"):
        open_archive(write(tmp_path / "archive", {"holiday/beach.jpg": b"sand"}, ""))


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="No such file"):
        open_archive(tmp_path / "nothing.zip")


@pytest.mark.parametrize("write", WRITERS)
def test_a_missing_table_of_labels_is_an_error(tmp_path: Path, write: Write) -> None:
    archive = open_archive(write(tmp_path / "archive", {name: HELD[name] for name in HELD if name != TABLE}, ""))
    with pytest.raises(TrainingError, match=f"has no {TABLE}"):
        archive.labels()


@pytest.mark.parametrize("spoilt", ["data", "header", "end"])
def test_an_entry_that_is_not_what_was_put_in_is_damaged_and_the_others_are_not(tmp_path: Path, spoilt: str) -> None:
    path = write_zip(tmp_path / "archive.zip", HELD)
    with zipfile.ZipFile(path) as opened:
        entry = opened.infolist()[1]
        other = opened.namelist()[2]
    data = bytearray(path.read_bytes())
    start = entry.header_offset + 30 + len(entry.filename)
    place = {
        "data": start + entry.compress_size // 2,
        "header": entry.header_offset,
        "end": start + entry.compress_size - 3,  # the last two may hold the end of the block alone
    }
    data[place[spoilt]] ^= 0xFF
    path.write_bytes(data)
    archive = open_archive(path)
    with pytest.raises(Damaged):
        archive.read(entry.filename.removeprefix(f"{ROOT}/"))
    name = other.removeprefix(f"{ROOT}/")
    assert archive.read(name) == HELD[name]


def test_a_size_that_is_a_lie_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "archive.zip", HELD | {name_of(0): bytes(50_000_000)})
    data = path.read_bytes()
    assert data.count(struct.pack("<L", 50_000_000)) == 2  # in the entry's own header and in the directory
    path.write_bytes(data.replace(struct.pack("<L", 50_000_000), struct.pack("<L", 1000)))
    with pytest.raises(Damaged):
        open_archive(path).read(name_of(0))


def test_a_file_that_has_gone_from_a_folder_is_damaged(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "archive", HELD, "")
    archive = open_archive(path)
    (path / name_of(0)).unlink()
    with pytest.raises(Damaged):
        archive.read(name_of(0))

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from services.common.problems import ContentTooLarge
from services.gateway.uploads.archives import BadArchive, Limits, unpack
from services.gateway.uploads.spool import SpoolFolder, UploadedFile
from services.gateway.uploads.zip_directory import (
    MAX_EXTRA_FIELDS,
    MAX_NAME_BYTES,
    MalformedZip,
    TooManyEntries,
    ZipDirectory,
    read_directory_end,
    read_entries,
)
from tests.scans import zipped

FILES = {"a.dcm": b"a" * 1000, "b.dcm": b"b"}
LIMITS = Limits(max_bytes=1_000_000, max_files=10, max_ratio=100)


def _zip64(data: bytes, *, entries: int | None = None, directory_bytes: int | None = None, shift: int = 0) -> bytes:
    """A zip with its numbers in a zip64 record, which may be false."""
    end = data[-22:]
    count, length, start = struct.unpack("<HLL", end[10:20])
    record = struct.pack(
        "<4sQ2H2L4Q",
        b"PK\x06\x06",
        44,
        45,
        45,
        0,
        0,
        *(entries or count,) * 2,
        length if directory_bytes is None else directory_bytes,
        start,
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(data) - 22 + shift, 1)
    return data[:-22] + record + locator + end[:8] + b"\xff" * 12 + end[20:]


def _unpack(folder: Path, data: bytes) -> dict[str, bytes]:
    path = folder / "upload"
    path.write_bytes(data)
    (folder / "unpacked").mkdir()
    got = unpack(UploadedFile("study.zip", path, len(data)), SpoolFolder(folder / "unpacked"), LIMITS)
    return {file.name: file.path.read_bytes() for file in got}


@pytest.mark.parametrize("front", [b"", b"MZ in front"])
def test_numbers_in_a_zip64_record_are_read(tmp_path: Path, front: bytes) -> None:
    assert _unpack(tmp_path, front + _zip64(zipped(FILES))) == FILES


def test_sizes_in_zip64_extras_of_entries_are_read(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, archive.open("a.dcm", "w", force_zip64=True) as entry:
        entry.write(b"abc")
    assert b"\xff\xff\xff\xff" in file.getvalue()[:60]
    assert _unpack(tmp_path, file.getvalue()) == {"a.dcm": b"abc"}


def test_a_zip64_record_does_not_hide_a_large_directory(tmp_path: Path) -> None:
    with pytest.raises(ContentTooLarge):
        _unpack(tmp_path, _zip64(zipped(FILES), entries=2**40))


@pytest.mark.parametrize(
    "data",
    [
        _zip64(zipped(FILES), directory_bytes=2**13)[:],
        _zip64(zipped(FILES), directory_bytes=0),
        _zip64(zipped(FILES), entries=1),
        _zip64(zipped(FILES), shift=1),
        zipped(FILES)[:-12] + b"\xff" * 10 + b"\0\0",
        _zip64(zipped(FILES)).replace(b"PK\x06\x06", b"PK\x06\x05"),
    ],
)
def test_zip64_numbers_that_are_missing_or_wrong_are_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises((BadArchive, ContentTooLarge)):
        _unpack(tmp_path, data)


def test_the_end_is_found_only_before_its_own_comment() -> None:
    data = zipped(FILES)
    commented = data[:-2] + b"\x05\0" + b"hello"
    for found, expected in ((data, 2), (commented, 2), (b"no zip", None), (b"", None), (data[:-1], None)):
        end = read_directory_end(io.BytesIO(found), len(found))
        assert (end and end.entries) == expected


def test_a_part_of_a_split_zip_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped(FILES))
    data[-18:-16] = b"\x01\x00"
    with pytest.raises(BadArchive) as refused:
        _unpack(tmp_path, bytes(data))
    assert "split" in refused.value.detail


def _without(data: bytes, name: bytes) -> bytes:
    """A zip whose directory lacks one entry, with the data of that entry."""
    at = data.rindex(name) - 46
    end, length = data[-22:], 46 + len(name)
    count, size, start = struct.unpack("<HLL", end[10:20])
    changed = end[:8] + struct.pack("<HHLL", count - 1, count - 1, size - length, start) + end[20:]
    return data[:at] + data[at + length : -22] + changed


def _streamed(files: dict[str, bytes]) -> bytes:
    """A zip as written to a pipe, with sizes in data descriptors."""

    class Pipe:
        def __init__(self) -> None:
            self.data = b""

        def write(self, piece: bytes) -> int:
            self.data += piece
            return len(piece)

        def flush(self) -> None:
            pass

    pipe = Pipe()
    with zipfile.ZipFile(cast("BinaryIO", pipe), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return pipe.data


THREE = {"a.dcm": b"a" * 100, "b.dcm": b"b" * 100, "c.dcm": b"c" * 100}


@pytest.mark.parametrize("data", [zipped(THREE), _streamed(THREE)])
def test_an_entry_that_the_directory_lacks_is_refused(tmp_path: Path, data: bytes) -> None:
    for number, name in enumerate(THREE):
        (tmp_path / str(number)).mkdir()
        with pytest.raises(BadArchive) as refused:
            _unpack(tmp_path / str(number), _without(data, name.encode()))
        assert "does not list" in refused.value.detail
    assert _unpack(tmp_path, data) == THREE


def test_a_stated_size_beyond_the_file_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        entry = zipfile.ZipInfo("a.dcm")
        entry.extra = struct.pack("<2HQ", 1, 8, 2**64 - 2)
        archive.writestr(entry, b"x")
    data = bytearray(file.getvalue())
    at = data.rindex(b"PK\x01\x02")
    data[at + 20 : at + 24] = b"\xff" * 4
    with pytest.raises(BadArchive):
        _unpack(tmp_path, bytes(data))


def test_a_directory_of_more_entries_than_stated_is_not_read(tmp_path: Path) -> None:
    """The standard library reads all of them before it compares their number."""
    data = zipped([(str(index), b"") for index in range(500)])
    end = data[-22:]
    few = data[:-22] + end[:8] + struct.pack("<2H", 1, 1) + end[12:]
    path = tmp_path / "upload"
    path.write_bytes(few)
    with path.open("rb") as file:
        directory = read_directory_end(file, len(few))
        assert directory
        entries = read_entries(file, directory, 1000)
        assert next(entries).name == "0"
        with pytest.raises(MalformedZip, match="longer than its entries"):
            next(entries)


@pytest.mark.parametrize(("at", "value"), [(10, 3), (12, 46), (16, 7)])
def test_two_ends_that_disagree_are_refused(tmp_path: Path, at: int, value: int) -> None:
    """Entries, bytes and offset of the directory, each stated otherwise than in the zip64 record."""
    data = bytearray(_zip64(zipped(FILES)))
    end = len(data) - 22
    struct.pack_into("<H" if at == 10 else "<L", data, end + at, value)
    with pytest.raises(BadArchive, match="bad_archive") as refused:
        _unpack(tmp_path, bytes(data))
    assert "disagree" in refused.value.detail


def test_the_end_must_state_one_number_of_entries(tmp_path: Path) -> None:
    data = bytearray(zipped(FILES))
    data[-14] += 1
    with pytest.raises(BadArchive):
        _unpack(tmp_path, bytes(data))


def test_a_name_longer_than_a_path_is_refused(tmp_path: Path) -> None:
    data = zipped({"a" * (MAX_NAME_BYTES + 1): b"x"})
    path = tmp_path / "upload"
    path.write_bytes(data)
    with path.open("rb") as file, pytest.raises(MalformedZip, match="too long"):
        list(read_entries(file, cast("ZipDirectory", read_directory_end(file, len(data))), 10))


def test_names_are_decoded_by_the_flag_of_the_entry(tmp_path: Path) -> None:
    data = zipped({"\u00e4.dcm": b"x"})
    assert _unpack(tmp_path, data) == {"\u00e4.dcm": b"x"}
    (tmp_path / "old").mkdir()
    old = bytearray(data)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        old[old.index(mark) + at + 1] &= ~8
    assert _unpack(tmp_path / "old", bytes(old)) == {"\u00e4.dcm".encode().decode("cp437"): b"x"}


@pytest.mark.parametrize(("belongs", "name"), [(b"a.dcm", "\u00e4.dcm"), (b"b.dcm", "a.dcm")])
def test_the_unicode_name_of_info_zip_is_read(tmp_path: Path, belongs: bytes, name: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        entry = zipfile.ZipInfo("a.dcm")
        named = "\u00e4.dcm".encode()
        entry.extra = struct.pack("<2HBL", 0x7075, 5 + len(named), 1, zlib.crc32(belongs)) + named
        archive.writestr(entry, b"x")
    assert _unpack(tmp_path, file.getvalue()) == {name: b"x"}


def _with_extra(extra: bytes) -> bytes:
    """A zip of an empty file whose entry in the directory has an extra field, and whose local header has none."""
    data = zipped({"a.dcm": b""})
    at = data.rindex(b"PK\x01\x02")
    record = bytearray(data[at:-22])
    struct.pack_into("<H", record, 30, len(extra))
    directory = bytes(record) + extra
    return data[:at] + directory + data[-22:-10] + struct.pack("<2LH", len(directory), at, 0)


def test_an_entry_of_many_extra_fields_is_refused(tmp_path: Path) -> None:
    """An empty field takes four bytes, and a directory may have millions of them."""
    field = struct.pack("<2H", 0x9999, 0)
    last = struct.pack("<2HBL", 0x7075, 10, 1, zlib.crc32(b"a.dcm")) + b"b.dcm"
    assert _unpack(tmp_path, _with_extra(field * (MAX_EXTRA_FIELDS - 1) + last)) == {"b.dcm": b""}
    for number, count in enumerate((MAX_EXTRA_FIELDS, 8000)):
        (tmp_path / str(number)).mkdir()
        with pytest.raises(BadArchive) as refused:
            _unpack(tmp_path / str(number), _with_extra(field * count + last))
        assert f"{MAX_EXTRA_FIELDS} extra fields" in refused.value.detail


@pytest.mark.parametrize("rest", [b"", b"\0", b"\x99\x99\xff\xff", b"\0" * 3])
def test_an_extra_field_that_ends_early_is_skipped(tmp_path: Path, rest: bytes) -> None:
    assert _unpack(tmp_path, _with_extra(struct.pack("<2HB", 0x5455, 1, 0) + rest)) == {"a.dcm": b""}


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3("])
def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path, bad: bytes) -> None:
    with pytest.raises(BadArchive):
        _unpack(tmp_path, zipped({"\u00e4.dcm": b"x"}).replace("\u00e4".encode(), bad.ljust(2, b"a")))


def _of_archive_utility(count: int) -> bytes:
    """A zip of empty files with their number modulo 65,536 and no zip64 record, as macOS' Archive Utility writes it."""
    name = "{:06}".format
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, 6, 0)
    data = b"".join(local + name(number).encode() for number in range(count))
    entries = (
        struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, number * 36)
        + name(number).encode()
        for number in range(count)
    )
    directory = b"".join(entries)
    counts = (count % 65_536,) * 2
    return data + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, *counts, len(directory), len(data), 0)


def _listed(path: Path, most: int) -> int:
    with path.open("rb") as file:
        end = cast("ZipDirectory", read_directory_end(file, path.stat().st_size))
        assert end.fits(file)
        return len(list(read_entries(file, end, most)))


@pytest.mark.parametrize("count", [65_535, 65_536, 131_073])
def test_a_number_of_entries_modulo_65536_is_read(tmp_path: Path, count: int) -> None:
    path = tmp_path / "upload"
    path.write_bytes(_of_archive_utility(count))
    assert _listed(path, count) == count


def test_another_number_of_entries_modulo_65536_is_damaged(tmp_path: Path) -> None:
    data = bytearray(_of_archive_utility(65_540))
    path = tmp_path / "upload"
    path.write_bytes(data)
    with pytest.raises(TooManyEntries):
        _listed(path, 65_539)
    for stated in (3, 5):
        struct.pack_into("<2H", data, len(data) - 14, stated, stated)
        path.write_bytes(data)
        with pytest.raises(MalformedZip):
            _listed(path, 200_000)


def test_a_job_of_more_than_65535_files_is_unpacked_or_refused_by_its_limit(tmp_path: Path) -> None:
    data = _of_archive_utility(65_540)
    path = tmp_path / "upload"
    path.write_bytes(data)
    target = tmp_path / "spool"
    target.mkdir()
    limits = Limits(max_bytes=1_000_000, max_files=40_000, max_ratio=100)
    with pytest.raises(ContentTooLarge) as refused:
        unpack(UploadedFile("study.zip", path, len(data)), SpoolFolder(target), limits)
    assert "more than 40000 files" in refused.value.detail
    assert not list(target.iterdir())

"""Entries of a zip: their place, and their data in bounded pieces."""

import io
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.gateway.uploads.zip_directory import (
    MalformedZip,
    ZipDirectory,
    ZipEntry,
    read_directory_end,
    read_entries,
)
from services.gateway.uploads.zip_entries import DEFLATED, STORED, locate_data, unpacked_pieces
from tests.scans import zipped

MIB = 1 << 20


def _raw_deflate(data: bytes, level: int = 9) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _entry(packed: bytes, data: bytes, method: int = DEFLATED) -> ZipEntry:
    return ZipEntry("a", b"a", 0, method, zlib.crc32(data), len(packed), len(data), 0, 0)


def _unpacked(folder: Path, packed: bytes, entry: ZipEntry) -> bytes:
    path = folder / "packed"
    path.write_bytes(packed)
    with path.open("rb") as file:
        return b"".join(unpacked_pieces(file, entry, 0))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(seed=st.binary(max_size=300), repeats=st.sampled_from([0, 1, 3, 5000]), level=st.integers(0, 9))
def test_deflated_data_are_unpacked_unchanged(tmp_path: Path, seed: bytes, repeats: int, level: int) -> None:
    data = seed * repeats
    packed = _raw_deflate(data, level)
    assert _unpacked(tmp_path, packed, _entry(packed, data)) == data


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 259])
def test_output_that_fills_whole_pieces_is_complete(tmp_path: Path, size: int) -> None:
    """zlib may hold output for which it needs no more input."""
    packed = _raw_deflate(bytes(size))
    assert _unpacked(tmp_path, packed, _entry(packed, bytes(size))) == bytes(size)


def test_no_piece_exceeds_a_mebibyte(tmp_path: Path) -> None:
    packed = _raw_deflate(bytes(50 * MIB))
    (tmp_path / "packed").write_bytes(packed)
    with (tmp_path / "packed").open("rb") as file:
        sizes = [len(piece) for piece in unpacked_pieces(file, _entry(packed, bytes(50 * MIB)), 0)]
    assert max(sizes) == MIB
    assert sum(sizes) == 50 * MIB


def test_stored_data_and_an_empty_file_are_read(tmp_path: Path) -> None:
    assert _unpacked(tmp_path, b"abc", _entry(b"abc", b"abc", STORED)) == b"abc"
    assert _unpacked(tmp_path, b"", _entry(b"", b"")) == b"", "some programs write no deflate of an empty file"


@pytest.mark.parametrize(
    ("packed", "stated"),
    [
        (_raw_deflate(b"abc") + b"behind", b"abc"),
        (_raw_deflate(b"abc")[:-1], b"abc"),
        (_raw_deflate(b"abc"), b"abx"),
        (_raw_deflate(b"abcd"), b"abc"),
        (_raw_deflate(b"ab"), b"abc"),
        (b"\xff" * 10, b"abc"),
        (_raw_deflate(b"abc") + bytes(200_000), b"abc"),
    ],
)
def test_data_that_differ_from_the_directory_are_refused(tmp_path: Path, packed: bytes, stated: bytes) -> None:
    with pytest.raises(MalformedZip):
        _unpacked(tmp_path, packed, _entry(packed, stated))


def test_stored_data_of_another_size_are_refused(tmp_path: Path) -> None:
    for packed, stated in ((b"abc", b"abcd"), (b"abcd", b"abc")):
        with pytest.raises(MalformedZip):
            _unpacked(tmp_path, packed, _entry(packed, stated, STORED))


def test_data_beyond_the_file_are_refused(tmp_path: Path) -> None:
    packed = _raw_deflate(b"abc")
    longer = ZipEntry("a", b"a", 0, DEFLATED, 0, len(packed) + 70_000, 3, 0, 0)
    with pytest.raises(MalformedZip):
        _unpacked(tmp_path, packed, longer)


def _located(folder: Path, data: bytes) -> list[int]:
    path = folder / "zip"
    path.write_bytes(data)
    with path.open("rb") as file:
        end = cast("ZipDirectory", read_directory_end(cast("BinaryIO", file), len(data)))
        return locate_data(file, list(read_entries(file, end, 1000)), end)


def test_data_are_located_behind_names_and_extra_fields(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("a", "long name"):
            entry = zipfile.ZipInfo(name)
            entry.extra = struct.pack("<2H4s", 0x7777, 4, b"xxxx")
            archive.writestr(entry, b"DATA")
    data = file.getvalue()
    assert [data[at : at + 4] for at in _located(tmp_path, data)] == [b"DATA", b"DATA"]


def _overlapping(count: int) -> bytes:
    """Entries that share the data of one, as in a bomb that is not recursive."""
    whole = zipped({"a": b"x" * 1000})
    at = whole.rindex(b"PK\x01\x02")
    record, end = whole[at:-22], whole[-22:]
    directory = record * count
    numbers = struct.pack("<2H2L", count, count, len(directory), at)
    return whole[:at] + directory + end[:8] + numbers + end[20:]


def test_entries_that_share_data_are_refused(tmp_path: Path) -> None:
    assert len(_located(tmp_path, _overlapping(1))) == 1
    for count in (2, 500):
        with pytest.raises(MalformedZip, match="overlap"):
            _located(tmp_path, _overlapping(count))


def test_an_entry_within_the_data_of_another_is_refused(tmp_path: Path) -> None:
    """A quoted local header: the outer entry's data hold the header and the data of the inner one."""
    inner = zipped({"in": b"y" * 50})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("out", inner[: inner.index(b"PK\x01\x02")])
    outer = file.getvalue()
    at, within = outer.rindex(b"PK\x01\x02"), outer.index(b"PK\x03\x04", 4)
    quoted = bytearray(inner[inner.index(b"PK\x01\x02") : -22])
    quoted[42:46] = within.to_bytes(4, "little")
    directory = outer[at:-22] + quoted
    numbers = struct.pack("<2H2L", 2, 2, len(directory), at)
    with pytest.raises(MalformedZip, match="overlap"):
        _located(tmp_path, outer[:at] + directory + outer[-22:-14] + numbers + b"\0\0")


@pytest.mark.parametrize("offset", [8, 30])
def test_a_local_header_that_differs_is_refused(tmp_path: Path, offset: int) -> None:
    """Its method, and its name."""
    data = bytearray(zipped({"a.dcm": b"x" * 100}))
    data[offset] ^= 1
    with pytest.raises(MalformedZip, match="local header"):
        _located(tmp_path, bytes(data))


_BOUNDED = """
import resource, sys
from pathlib import Path
from services.gateway.uploads.archives import Limits, unpack
from services.gateway.uploads.spool import SpoolFolder, UploadedFile
from services.common.problems import Problem
limit = 200 * 1024**2
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
path = Path(sys.argv[1])
target = path.parent / "spool"
target.mkdir()
try:
    got = unpack(UploadedFile("z.zip", path, path.stat().st_size), SpoolFolder(target), Limits(2**30, 10, 100_000))
    print(sum(file.size for file in got))
except Problem as problem:
    print(problem.code)
"""


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        (zipfile.ZIP_DEFLATED, str(300 * MIB)),
        (zipfile.ZIP_BZIP2, "unsupported_archive"),
        (zipfile.ZIP_LZMA, "unsupported_archive"),
    ],
)
def test_a_bomb_takes_little_memory(tmp_path: Path, method: int, answer: str) -> None:
    """The process may take 200 MiB of address space, and the entry has 300 MiB."""
    with zipfile.ZipFile(tmp_path / "z.zip", "w", method) as archive, archive.open("a.dcm", "w") as member:
        for _ in range(300):
            member.write(bytes(MIB))
    ran = subprocess.run(
        [sys.executable, "-c", _BOUNDED, str(tmp_path / "z.zip")], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == answer

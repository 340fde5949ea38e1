import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.gateway.uploads.archive_formats import ZIP, archive_format, is_system_file
from tests.scans import ct_slice, picture, zipped

SLICE = ct_slice()


def tarred(files: dict[str, bytes], kind: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=kind) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def _kind(folder: Path, data: bytes, name: str = "file") -> str | None:
    path = folder / "upload"
    path.write_bytes(data)
    return archive_format(path, name)


ISO = bytes(32_769) + b"CD001\1" + bytes(100)
ARCHIVES = {
    "gzip": gzip.compress(SLICE),
    "bzip2": bz2.compress(SLICE),
    "xz": lzma.compress(SLICE),
    "LZMA": lzma.compress(SLICE, lzma.FORMAT_ALONE),
    "tar": tarred({"a.dcm": SLICE}),
    "tar archive": tarred({"a.dcm": SLICE}, tarfile.GNU_FORMAT),
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(100),
    "RAR": b"Rar!\x1a\x07\x01\x00" + bytes(100),
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(100),
    "lz4": b"\x04\x22\x4d\x18" + bytes(100),
    "split zip": b"PK\x07\x08PK\x03\x04" + bytes(100),
    "ISO": ISO,
    "DMG": bytes(1000) + b"koly" + bytes(508),
    "cpio": b"070701" + b"0" * 104,
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_is_recognized_under_any_name(tmp_path: Path, kind: str) -> None:
    assert kind in str(_kind(tmp_path, ARCHIVES[kind], "a.dcm"))


def test_an_old_tar_is_recognized_by_its_checksum(tmp_path: Path) -> None:
    data = bytearray(tarred({"a.dcm": SLICE}))
    checksum = sum(data[:148]) + sum(data[156:257]) + 8 * 32
    data[257:512] = bytes(255)
    assert b"ustar" not in data[:512]
    data[148:156] = f"{checksum:06o}\0 ".encode()
    assert _kind(tmp_path, bytes(data)) == "a tar archive"


@pytest.mark.parametrize("data", [zipped({"a": b"x"}), zipped({}), b"MZ program" + zipped({"a": b"x"})])
def test_a_zip_behind_a_program_is_recognized(tmp_path: Path, data: bytes) -> None:
    assert _kind(tmp_path, data) == ZIP


@pytest.mark.parametrize("start", [*ARCHIVES.values(), zipped({"a": b"x"})])
def test_a_dicom_is_no_archive_whatever_its_preamble_and_end(tmp_path: Path, start: bytes) -> None:
    preamble = start[:128].ljust(128, b"\0")
    assert _kind(tmp_path, preamble + SLICE[128:] + zipped({"a": b"x"}), "a.zip") is None


@pytest.mark.parametrize("name", ["a.dcm", "a.dcm.gz", "a.zip"])
@pytest.mark.parametrize("data", [SLICE, SLICE[132:], picture()])
def test_slices_and_pngs_are_no_archives(tmp_path: Path, name: str, data: bytes) -> None:
    assert _kind(tmp_path, data, name if data is SLICE else "a.dcm") is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(data=st.binary(max_size=700))
def test_other_bytes_are_no_archive(tmp_path: Path, data: bytes) -> None:
    assert _kind(tmp_path, b"text: " + data, "notes.txt") is None


@pytest.mark.parametrize("name", ["a.zip", "A.ZIP", "folder/a.tar.gz", "a.7z", "more\\a.rar"])
def test_an_unreadable_file_with_an_extension_of_an_archive_counts_as_one(tmp_path: Path, name: str) -> None:
    assert "though its extension is" in str(_kind(tmp_path, b"damaged", name))
    assert _kind(tmp_path, b"\0\5\26\7", f"__MACOSX/._{name}") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("._a.dcm", True),
        ("study\\._a.dcm", True),
        ("__MACOSX/study/a.dcm", True),
        (".DS_Store", True),
        ("x/Thumbs.db", True),
        ("desktop.ini", True),
        ("a.dcm", False),
        (".a.dcm", False),
        ("_a.dcm", False),
        ("__MACOSX", False),
        ("", False),
    ],
)
def test_names_of_system_files(name: str, expected: bool) -> None:  # noqa: FBT001
    assert is_system_file(name) is expected

import contextlib
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.problems import ContentTooLarge, Problem
from services.gateway.uploads.archives import BadArchive, Limits, UnsupportedArchive, unpack
from services.gateway.uploads.spool import SpoolFolder, UploadedFile
from tests.scans import zipped

LIMITS = Limits(max_bytes=80 * 1024**2, max_files=10, max_ratio=100)
FILES = {"study/a.dcm": b"a" * 1000, "study/ä.dcm": b"b", "c": b""}


def _archive(folder: Path, data: bytes) -> UploadedFile:
    path = folder / "upload"
    path.write_bytes(data)
    return UploadedFile("study.zip", path, len(data))


def _unpack(folder: Path, data: bytes, limits: Limits = LIMITS) -> list[UploadedFile]:
    target = folder / "unpacked"
    target.mkdir(exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    return unpack(_archive(folder, data), SpoolFolder(target), limits)


def test_files_have_their_names_and_sizes(tmp_path: Path) -> None:
    got = _unpack(tmp_path, zipped(FILES))
    assert {file.name: file.path.read_bytes() for file in got} == FILES
    assert all(file.size == len(FILES[file.name]) for file in got)


def _entry(name: str, data: bytes = b"", attributes: int = 0) -> tuple[zipfile.ZipInfo, bytes]:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = attributes
    return entry, data


def _zip_of(*entries: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, data in entries:
            archive.writestr(entry, data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "attributes"), [("HEAD/", 0), ("HEAD\\", 0), ("HEAD", 0x10), ("HEAD", 0o040755 << 16), ("A/B\\", 0)]
)
def test_an_entry_without_data_is_a_folder_by_name_or_attributes(tmp_path: Path, name: str, attributes: int) -> None:
    data = {b"": [], b"slice": [(name, b"slice")]}
    for content, expected in data.items():
        got = _unpack(tmp_path, _zip_of(_entry(name, content, attributes), _entry("HEAD\\a.dcm", b"a")))
        assert [(file.name, file.path.read_bytes()) for file in got] == [*expected, ("HEAD\\a.dcm", b"a")]


def test_system_files_are_unpacked_and_counted_separately(tmp_path: Path) -> None:
    """A slice may have such a name. macOS adds one such file for each file."""
    files = {f"{index}.dcm": b"x" for index in range(LIMITS.max_files)}
    system = {f"__MACOSX/._{name}": b"\0\5\26\7" for name in files}
    assert len(_unpack(tmp_path, zipped({**files, **system}))) == 2 * LIMITS.max_files
    with pytest.raises(ContentTooLarge):
        _unpack(tmp_path, zipped({f"._{index}": b"" for index in range(2 * LIMITS.max_files + 17)}))


def test_files_of_one_name_all_count(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        data = zipped([("a.dcm", b"one"), ("a.dcm", b"two")])
    assert [file.path.read_bytes() for file in _unpack(tmp_path, data)] == [b"one", b"two"]


def test_a_directory_without_an_entry_is_refused(tmp_path: Path) -> None:
    first, second = zipped({"a.dcm": b"one"}), zipped({"b.dcm": b"two"})
    with pytest.raises(BadArchive) as refused:
        _unpack(tmp_path, first + second)
    assert "does not list" in refused.value.detail
    fewer = bytearray(zipped(FILES))
    fewer[-12] -= 1
    with pytest.raises(BadArchive):
        _unpack(tmp_path, bytes(fewer))


def test_data_before_a_zip_are_skipped(tmp_path: Path) -> None:
    got = _unpack(tmp_path, b"MZ, a program that unpacks itself" + zipped(FILES))
    assert {file.name: file.path.read_bytes() for file in got} == FILES


def test_an_entry_without_a_name_is_refused_or_read(tmp_path: Path) -> None:
    """Python 3.11 reads the last character of every name."""
    with contextlib.suppress(BadArchive):
        _unpack(tmp_path, zipped({"a.dcm": b"x"}).replace(b"a.dcm", b"\0.dcm"))


def test_names_with_dot_dot_stay_in_the_spool(tmp_path: Path) -> None:
    (got,) = _unpack(tmp_path, zipped({"../../up.dcm": b"x"}))
    assert got.path.parent == tmp_path / "unpacked"


def test_a_bomb_is_refused_by_its_stated_size(tmp_path: Path) -> None:
    with pytest.raises(ContentTooLarge):
        _unpack(tmp_path, zipped({"zeros": bytes(70 * 1024**2)}))
    assert not list((tmp_path / "unpacked").iterdir())


def test_a_bomb_with_a_false_size_is_refused_while_it_is_unpacked(tmp_path: Path) -> None:
    honest = zipped({"zeros": bytes(70 * 1024**2)})
    size = (70 * 1024**2).to_bytes(4, "little")
    lying = honest.replace(size, (1000).to_bytes(4, "little"))
    assert lying != honest
    with pytest.raises(Problem):
        _unpack(tmp_path, lying)
    assert sum(path.stat().st_size for path in (tmp_path / "unpacked").iterdir()) <= 65 * 1024**2


def test_too_many_entries_are_refused_before_they_are_read(tmp_path: Path) -> None:
    for count in (11, 2000):
        with pytest.raises(ContentTooLarge, match="too_large"):
            _unpack(tmp_path, zipped([(str(index), b"") for index in range(count)]))


def _zip_by(method: int, data: bytes = b"abc" * 100) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("a.dcm", data)
    return file.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_stored_and_deflated_entries_are_read(tmp_path: Path, method: int) -> None:
    (got,) = _unpack(tmp_path, _zip_by(method))
    assert got.path.read_bytes() == b"abc" * 100


def _with_method(data: bytes, method: int) -> bytes:
    """A zip of one entry that states another method."""
    changed = bytearray(data)
    for at in (8, changed.rindex(b"PK\x01\x02") + 10):
        changed[at : at + 2] = method.to_bytes(2, "little")
    return bytes(changed)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (_zip_by(zipfile.ZIP_BZIP2), "a.dcm is compressed by bzip2 (method 12)"),
        (_zip_by(zipfile.ZIP_LZMA), "a.dcm is compressed by LZMA (method 14)"),
        (
            _with_method(_zip_by(zipfile.ZIP_DEFLATED), 9),
            "Deflate64 (method 9), which Windows Explorer uses above 2 GB",
        ),
        (_with_method(_zip_by(zipfile.ZIP_DEFLATED), 77), "a.dcm is compressed by method 77;"),
    ],
)
def test_other_methods_are_refused_by_name(tmp_path: Path, data: bytes, named: str) -> None:
    with pytest.raises(UnsupportedArchive) as refused:
        _unpack(tmp_path, data)
    assert refused.value.status == 415
    assert named in refused.value.detail
    assert not list((tmp_path / "unpacked").iterdir())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(at=st.integers(0, 600), flip=st.integers(1, 255), cut=st.integers(0, 200))
def test_a_damaged_zip_is_refused_or_read_and_nothing_else(tmp_path: Path, at: int, flip: int, cut: int) -> None:
    data = bytearray(zipped(FILES))
    data[at % len(data)] ^= flip
    with contextlib.suppress(BadArchive, ContentTooLarge, UnsupportedArchive):
        _unpack(tmp_path, bytes(data[: len(data) - cut]))

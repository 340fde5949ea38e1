import hashlib
import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from services.gateway.backup.archive import ArchiveReader, ArchiveWriter
from services.gateway.backup.errors import DamagedArchive

FILES = {
    "settings/environment.json": b"{}",
    "jobs/ann/1/manifest.jsonl": b"first",
    "jobs/ann/1/files/000001": b"x" * 70000,
}


def archive(files: dict[str, bytes] | None = None) -> bytes:
    stream = io.BytesIO()
    with ArchiveWriter(stream) as writer:
        for name, content in (FILES if files is None else files).items():
            writer.add_bytes(name, content)
        writer.finish(jobs=1)
    return stream.getvalue()


def test_an_archive_is_extracted_as_it_was_written(tmp_path: Path) -> None:
    summary = ArchiveReader(io.BytesIO(archive()), tmp_path).read()
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES
    assert (summary.jobs, summary.files, summary.bytes) == (1, 3, sum(map(len, FILES.values())))
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()}
    assert modes == {0o600}


def test_standard_programs_read_and_check_an_archive(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(archive())
    subprocess.run(["tar", "-xf", "a.tar"], cwd=tmp_path, check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=tmp_path, check=True)
    assert (tmp_path / "jobs/ann/1/files/000001").read_bytes() == FILES["jobs/ann/1/files/000001"]


def test_an_archive_that_is_cut_off_anywhere_is_refused() -> None:
    whole = archive()
    last = len(whole.rstrip(b"\0"))
    for length in (0, 1, 511, 512, 600, len(whole) // 2, last - 1):
        with pytest.raises(DamagedArchive):
            ArchiveReader(io.BytesIO(whole[:length])).read()


def test_every_changed_byte_of_a_file_or_checksum_is_found() -> None:
    whole = archive()
    for text in (b"first", b"xxxx", hashlib.sha256(b"first").hexdigest().encode()[:8], b'"jobs": 1'):
        place = whole.index(text)
        changed = bytearray(whole)
        changed[place] ^= 1
        with pytest.raises(DamagedArchive):
            ArchiveReader(io.BytesIO(bytes(changed))).read()


def test_a_missing_file_is_found() -> None:
    fewer = {name: content for name, content in FILES.items() if "manifest" not in name}
    with tarfile.open(fileobj=io.BytesIO(archive())) as whole, tarfile.open(fileobj=io.BytesIO(archive(fewer))) as less:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as mixed:
            for tar, names in ((less, fewer), (whole, ("SHA256SUMS", "backup.json"))):
                for name in names:
                    mixed.addfile(tar.getmember(name), tar.extractfile(name))
    stream.seek(0)
    with pytest.raises(DamagedArchive, match="differ"):
        ArchiveReader(stream).read()


def _link(member: tarfile.TarInfo) -> None:
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"


def _device(member: tarfile.TarInfo) -> None:
    member.type = tarfile.CHRTYPE


def _outside(member: tarfile.TarInfo) -> None:
    member.name = "jobs/../../outside"


def _absolute(member: tarfile.TarInfo) -> None:
    member.name = "/jobs/x"


def _elsewhere(member: tarfile.TarInfo) -> None:
    member.name = "incoming/x"


def _file_for_a_folder(member: tarfile.TarInfo) -> None:
    member.name = "jobs"


@pytest.mark.parametrize("change", [_link, _device, _outside, _absolute, _elsewhere, _file_for_a_folder])
def test_a_hostile_member_is_refused_and_nothing_is_written(
    tmp_path: Path, change: Callable[[tarfile.TarInfo], None]
) -> None:
    member = tarfile.TarInfo("jobs/ann/1/x")
    change(member)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(member)
    stream.seek(0)
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(DamagedArchive, match="no file of a backup"):
        ArchiveReader(stream, inside).read()
    assert list(tmp_path.rglob("*")) == [inside]


def test_a_newer_format_is_refused_by_name() -> None:
    changed = archive().replace(b'"format": 1', b'"format": 2')
    with pytest.raises(DamagedArchive, match="format 2, this version reads 1"):
        ArchiveReader(io.BytesIO(changed)).read()

"""The archive: a tar file. `tar -x` and `sha256sum -c SHA256SUMS` read it without this program.

jobs/ open/ keys/ hooks/ clock/ patient/    as in the folder of jobs
settings/                          see `settings_files.py`
SHA256SUMS                         a line for each file above, in their order
backup.json                        always last: version, counts, SHA-256 of SHA256SUMS
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from services.common.private_folder import FOLDER_MODE, open_private
from services.common.timestamps import utc_now
from services.common.version import VERSION
from services.gateway.backup.errors import DamagedArchive
from services.gateway.backup.snapshot import KINDS

SETTINGS: Final = "settings"
_SUMS: Final = "SHA256SUMS"
_SUMMARY: Final = "backup.json"
_FORMAT: Final = 1
_FILE_MODE: Final = 0o600
_MAX_SUMMARY_BYTES: Final = 65536
_CHUNK_BYTES: Final = 1 << 20


class Summary(BaseModel):
    """The last member: what the archive holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = _FORMAT
    version: str = VERSION
    created: str
    jobs: int
    files: int
    bytes: int
    sums_sha256: str


class _HashingReader:
    """A file that hashes all that is read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.hash.update(data)
        return data


class ArchiveWriter:
    """Writes an archive to a stream, which need not be seekable. The context ends the archive."""

    def __init__(self, stream: BinaryIO) -> None:
        self._tar = tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `__exit__`
        self._sums = TemporaryFile()  # noqa: SIM115 - closed by `__exit__`
        self._sums_hash = hashlib.sha256()
        self._files = self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._tar.close()
        finally:
            self._sums.close()

    def add(self, name: str, path: Path) -> None:
        """Add a file; OSError where it cannot be read or shrinks meanwhile."""
        with path.open("rb") as file:
            found = path.stat()
            self._add(name, file, found.st_size, int(found.st_mtime))

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a file with this content."""
        self._add(name, io.BytesIO(content), len(content), 0)

    def finish(self, jobs: int) -> Summary:
        """Write the checksums and the summary."""
        size = self._sums.tell()
        self._sums.seek(0)
        self._tar.addfile(_member(_SUMS, size, 0), self._sums)
        summary = Summary(
            created=utc_now(), jobs=jobs, files=self._files, bytes=self._bytes, sums_sha256=self._sums_hash.hexdigest()
        )
        content = summary.model_dump_json(indent=1).encode()
        self._tar.addfile(_member(_SUMMARY, len(content), 0), io.BytesIO(content))
        return summary

    def _add(self, name: str, file: BinaryIO, size: int, mtime: int) -> None:
        reader = _HashingReader(file)
        self._tar.addfile(_member(name, size, mtime), reader)
        line = _sum_line(reader.hash.hexdigest(), name)
        self._sums.write(line)
        self._sums_hash.update(line)
        self._files += 1
        self._bytes += size


@dataclass(frozen=True, slots=True)
class _Found:
    """Counts and checksums of the members that were read."""

    files: int
    bytes: int
    sums_sha256: str


class ArchiveReader:
    """Reads an archive from a stream and checks it; with a folder it extracts, file by file, what it has checked."""

    def __init__(self, stream: BinaryIO, into: Path | None = None) -> None:
        self._stream = stream
        self._into = into
        self._hash = hashlib.sha256()
        self._files = self._bytes = 0

    def read(self) -> Summary:
        """Read to the end. Only then what was extracted is known to be whole.

        Raises
        ------
        DamagedArchive
            the archive is cut off, changed, or of another form
        """
        try:
            with tarfile.open(fileobj=self._stream, mode="r|") as tar:
                members = iter(tar)
                sums = self._read_files(tar, members)
                summary = self._read_summary(tar, next(members, None))
                if next(members, None):
                    raise DamagedArchive(f"the archive has more behind {_SUMMARY}: use another one")
        except (tarfile.TarError, EOFError, ValidationError) as error:
            raise DamagedArchive(f"this is no whole backup: {type(error).__name__}; use another one") from error
        self._check(summary, sums)
        return summary

    def _read_files(self, tar: tarfile.TarFile, members: Iterator[tarfile.TarInfo]) -> str:
        """Read all files up to the checksums, and return the SHA-256 of these."""
        for member in members:
            if member.name == _SUMS:
                return self._copy(tar, member, None)
            _check_member(member)
            digest = self._copy(tar, member, self._into)
            self._hash.update(_sum_line(digest, member.name))
            self._files += 1
            self._bytes += member.size
        raise DamagedArchive(f"the archive ends before {_SUMS}: use another one")

    def _read_summary(self, tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> Summary:
        file = tar.extractfile(member) if member and member.name == _SUMMARY else None
        if file is None or member is None or member.size > _MAX_SUMMARY_BYTES:
            raise DamagedArchive(f"the archive ends before {_SUMMARY}: use another one")
        return Summary.model_validate_json(file.read())

    def _check(self, summary: Summary, sums: str) -> None:
        if summary.format != _FORMAT:
            raise DamagedArchive(f"the archive has format {summary.format}, this version reads {_FORMAT}")
        read = _Found(self._files, self._bytes, self._hash.hexdigest())
        if not read == _Found(summary.files, summary.bytes, summary.sums_sha256) or sums != summary.sums_sha256:
            raise DamagedArchive(f"files of the archive differ from its {_SUMS}: use another one")

    def _copy(self, tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path | None) -> str:
        """Hash a member, and write it where a folder is given: its SHA-256."""
        source = tar.extractfile(member)
        if source is None:
            raise DamagedArchive(f"{member.name!r} is no file: use another archive")
        reader = _HashingReader(source)  # type: ignore[arg-type] # it needs `read` alone
        if into is None:
            while reader.read(_CHUNK_BYTES):
                pass
        else:
            _write(into / member.name, reader)
        return reader.hash.hexdigest()


def _write(path: Path, reader: _HashingReader) -> None:
    path.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    with open(path, "xb", opener=open_private) as file:
        while data := reader.read(_CHUNK_BYTES):
            file.write(data)


def _check_member(member: tarfile.TarInfo) -> None:
    """DamagedArchive for anything but a regular file at a place that a backup has."""
    parts = member.name.split("/")
    known = parts[0] in (*KINDS, SETTINGS) and len(parts) > 1 and "" not in parts and not {".", ".."} & set(parts)
    if not member.isreg() or member.issparse() or not known:
        raise DamagedArchive(f"{member.name!r} is no file of a backup: use another archive")


def _member(name: str, size: int, mtime: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, mtime, _FILE_MODE
    return member


def _sum_line(digest: str, name: str) -> bytes:
    """As `sha256sum` writes it."""
    return f"{digest}  {name}\n".encode()

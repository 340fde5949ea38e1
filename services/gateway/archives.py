"""Zip archives, unpacked to the spool with bounds on entries, ratio and total.

What a zip says of itself is not believed: bytes are counted as they come.
"""

import errno
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from services.common.problems import PayloadTooLarge, Problem
from services.gateway.spool import SpoolFolder, UploadedFile

_PIECE_BYTES: Final = 1 << 20
_RATIO_COUNTS_FROM_BYTES: Final = 64 * 1024**2
_END_RECORD: Final = b"PK\x05\x06"
_END_RECORD_BYTES: Final = 22
_MAX_COMMENT_BYTES: Final = 0xFFFF
_DIRECTORY_BYTES_AN_ENTRY: Final = 2048
_ENCRYPTED: Final = 0x1
# What the standard library raises on damaged data, encryption and methods that it does not know.
_DAMAGE: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError
)  # fmt: skip


class BadArchive(Problem):
    status = 422
    code = "bad_archive"
    title = "The zip cannot be unpacked"


@dataclass(frozen=True, slots=True)
class Limits:
    """What an upload may hold, unpacked."""

    max_bytes: int
    max_files: int
    max_ratio: int

    def less(self, files: Sequence[UploadedFile]) -> "Limits":
        """What is left of the limits after these files."""
        used = sum(file.size for file in files)
        return replace(self, max_bytes=self.max_bytes - used, max_files=self.max_files - len(files))


def is_archive(path: Path) -> bool:
    """Whether a file is a zip by its first bytes (and not a DICOM whose preamble looks like one)."""
    with path.open("rb") as file:
        head = file.read(132)
    return head[:4] in (b"PK\x03\x04", _END_RECORD) and head[128:] != b"DICM"


def unpack(archive: UploadedFile, folder: SpoolFolder, limits: Limits) -> list[UploadedFile]:
    """Unpack an archive to numbered files; the archive itself stays as it is.

    Raises
    ------
    PayloadTooLarge
        it holds more files or bytes than the limits allow, or is packed so tightly that it can only be a bomb.
    BadArchive
        it is damaged, encrypted, or packed by a method that is not known here.
    """
    try:
        _check_directory(archive, limits)
        with zipfile.ZipFile(archive.path) as opened:
            entries = [entry for entry in opened.infolist() if not _is_rubbish(entry)]
            _check_entries(archive, entries, limits)
            return list(_extract(archive, opened, entries, folder, limits))
    except _DAMAGE as error:
        raise _damaged(archive) from error
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # bad bzip2 data, and an offset before the file's start
            raise _damaged(archive) from error
        raise


def _is_rubbish(entry: zipfile.ZipInfo) -> bool:
    """Folders, and what macOS adds to every zip."""
    path = PurePosixPath(entry.filename)
    folder = entry.filename.endswith("/")  # `ZipInfo.is_dir` fails on an empty name in Python 3.11
    return folder or "__MACOSX" in path.parts or path.name.startswith("._") or path.name == ".DS_Store"


def _check_directory(archive: UploadedFile, limits: Limits) -> None:
    """Look at the size of the central directory before the standard library reads all of it."""
    with archive.path.open("rb") as file:
        file.seek(max(0, archive.size - _END_RECORD_BYTES - _MAX_COMMENT_BYTES))
        tail = file.read()
    at = tail.rfind(_END_RECORD)
    record = tail[at : at + _END_RECORD_BYTES]
    if at < 0 or len(record) < _END_RECORD_BYTES:
        raise zipfile.BadZipFile
    entries, directory_bytes = int.from_bytes(record[10:12], "little"), int.from_bytes(record[12:16], "little")
    if entries > 2 * limits.max_files + 16 or directory_bytes > (entries + 1) * _DIRECTORY_BYTES_AN_ENTRY:
        raise _too_many_files(archive, limits)


def _check_entries(archive: UploadedFile, entries: Sequence[zipfile.ZipInfo], limits: Limits) -> None:
    if len(entries) > limits.max_files:
        raise _too_many_files(archive, limits)
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise _named(BadArchive, archive, "the zip is encrypted")
    if sum(entry.file_size for entry in entries) > _allowed_bytes(archive, limits):
        raise _too_large(archive)


def _allowed_bytes(archive: UploadedFile, limits: Limits) -> int:
    """The smaller of what may be unpacked at all and what the ratio allows; small archives may be packed tightly."""
    return min(limits.max_bytes, max(archive.size * limits.max_ratio, _RATIO_COUNTS_FROM_BYTES))


def _extract(
    archive: UploadedFile,
    opened: zipfile.ZipFile,
    entries: Sequence[zipfile.ZipInfo],
    folder: SpoolFolder,
    limits: Limits,
) -> Iterator[UploadedFile]:
    left = _allowed_bytes(archive, limits)
    for entry in entries:
        with opened.open(entry) as packed, folder.create() as file:
            while piece := packed.read(_PIECE_BYTES):
                left -= len(piece)
                if left < 0:
                    raise _too_large(archive)
                file.write(piece)
            yield UploadedFile(entry.filename, Path(file.name), file.tell())


def _named(kind: type[Problem], archive: UploadedFile, reason: str) -> Problem:
    files = [{"file": archive.name, "code": kind.code, "reason": reason}]
    return kind(f"{archive.name}: {reason}.", files=files)


def _damaged(archive: UploadedFile) -> Problem:
    return _named(BadArchive, archive, "the zip is damaged, or packed in an unknown way")


def _too_many_files(archive: UploadedFile, limits: Limits) -> Problem:
    return _named(PayloadTooLarge, archive, f"the zip holds more than {limits.max_files} files")


def _too_large(archive: UploadedFile) -> Problem:
    return _named(PayloadTooLarge, archive, "the zip unpacks to more than is taken here")

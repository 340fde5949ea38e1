"""Unpacks one zip to the spool, with limits on entries, ratio and total bytes.

The sizes in the directory of a zip may be false, so the unpacked bytes are counted.
"""

import errno
import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.common.problems import ContentTooLarge, Problem
from services.gateway.archive_formats import is_system_file
from services.gateway.spool import SpoolFolder, UploadedFile
from services.gateway.zip_directory import ZipDirectory, has_unlisted_entries, read_directory_end

_PIECE_BYTES: Final = 1 << 20
_RATIO_COUNTS_FROM_BYTES: Final = 64 * 1024**2
_DIRECTORY_BYTES_AN_ENTRY: Final = 2048
_ENCRYPTED: Final = 0x1
_MS_DOS_FOLDER: Final = 0x10  # an attribute, whatever system made the zip
_EMPTY_PACKED_BYTES: Final = 16  # deflate makes 2 bytes of an empty file, and encryption adds 12
# The standard library raises these on damaged data, encryption and unknown methods.
_DAMAGE: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError
)  # fmt: skip


class BadArchive(Problem):
    status = 422
    code = "bad_archive"
    title = "The zip cannot be unpacked"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of an upload, unpacked.

    max_entries : all files, those of the operating system included (macOS adds one for each); by `max_files` if None
    """

    max_bytes: int
    max_files: int
    max_ratio: int
    max_entries: int | None = None

    @property
    def entries(self) -> int:
        """Largest number of entries of a zip, folders and files of the operating system included."""
        return 2 * self.max_files + 16 if self.max_entries is None else self.max_entries

    def minus(self, files: Sequence[UploadedFile], sign: int = 1) -> "Limits":
        """The limits that remain after these files."""
        counted = sum(not is_system_file(file.name) for file in files)
        return Limits(
            self.max_bytes - sign * sum(file.size for file in files),
            self.max_files - sign * counted,
            self.max_ratio,
            self.entries - sign * len(files),
        )

    def plus(self, file: UploadedFile) -> "Limits":
        """The limits before this file was counted."""
        return self.minus([file], sign=-1)


def unpack(archive: UploadedFile, folder: SpoolFolder, limits: Limits) -> list[UploadedFile]:
    """Unpack a zip to numbered files; the zip and zips in it are left unchanged.

    Raises
    ------
    ContentTooLarge
        it has more files or bytes than the limits allow, or a ratio that only a zip bomb has
    BadArchive
        it is damaged, encrypted or compressed by an unknown method, or its directory lacks an entry
    """
    try:
        end = _check_end(archive, limits)
        with zipfile.ZipFile(archive.path) as opened:
            _check_directory(archive, opened.infolist(), end)
            entries = [entry for entry in opened.infolist() if not _is_folder(entry)]
            _check_entries(archive, entries, limits)
            return list(_extract(archive, opened, entries, folder, limits))
    except _DAMAGE as error:
        raise _damaged(archive) from error
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # bad bzip2 data, and an offset before the file's start
            raise _damaged(archive) from error
        raise


def _is_folder(entry: zipfile.ZipInfo) -> bool:
    """By its name or attributes; an entry with data is no folder."""
    if entry.file_size or entry.compress_size > _EMPTY_PACKED_BYTES:
        return False
    named = entry.filename.endswith(("/", "\\"))  # `ZipInfo.is_dir` fails on an empty name in Python 3.11
    return named or bool(entry.external_attr & _MS_DOS_FOLDER) or stat.S_ISDIR(entry.external_attr >> 16)


def _check_end(archive: UploadedFile, limits: Limits) -> ZipDirectory:
    """Check the size of the central directory before the standard library reads all of it."""
    with archive.path.open("rb") as file:
        end = read_directory_end(file, archive.size)
    if end is None:
        raise zipfile.BadZipFile
    if end.split:
        raise _named(BadArchive, archive, "it is a part of a split zip; join its parts and send them as one")
    if end.entries > limits.entries or end.directory_bytes > (end.entries + 1) * _DIRECTORY_BYTES_AN_ENTRY:
        raise _too_many_files(archive, limits)
    return end


def _check_directory(archive: UploadedFile, entries: Sequence[zipfile.ZipInfo], end: ZipDirectory) -> None:
    """Check that the directory lists all entries, and as many as its end states."""
    if len(entries) != end.entries:
        raise zipfile.BadZipFile
    with archive.path.open("rb") as file:
        if has_unlisted_entries(file, entries):
            raise _named(BadArchive, archive, "the zip holds data that its directory does not list")


def _check_entries(archive: UploadedFile, entries: Sequence[zipfile.ZipInfo], limits: Limits) -> None:
    if sum(not is_system_file(entry.filename) for entry in entries) > limits.max_files:
        raise _too_many_files(archive, limits)
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise _named(BadArchive, archive, "the zip is encrypted")
    if sum(entry.file_size for entry in entries) > (allowed := allowed_bytes(archive, limits)):
        raise _too_large(archive, allowed)


def allowed_bytes(archive: UploadedFile, limits: Limits) -> int:
    """The lower limit of total bytes and ratio; the ratio of small archives is not limited."""
    return min(limits.max_bytes, max(archive.size * limits.max_ratio, _RATIO_COUNTS_FROM_BYTES))


def _extract(
    archive: UploadedFile,
    opened: zipfile.ZipFile,
    entries: Sequence[zipfile.ZipInfo],
    folder: SpoolFolder,
    limits: Limits,
) -> Iterator[UploadedFile]:
    allowed = allowed_bytes(archive, limits)
    left = allowed
    for number, entry in enumerate(entries, start=1):
        with opened.open(entry) as packed, folder.create() as file:
            while piece := packed.read(_PIECE_BYTES):
                left -= len(piece)
                if left < 0:
                    raise _too_large(archive, allowed)
                file.write(piece)
            yield UploadedFile(entry.filename or f"entry {number}", Path(file.name), file.tell())


def _named(kind: type[Problem], archive: UploadedFile, reason: str) -> Problem:
    files = [{"file": archive.name, "code": kind.code, "reason": reason}]
    return kind(f"{archive.name}: {reason}.", files=files)


def _damaged(archive: UploadedFile) -> Problem:
    return _named(BadArchive, archive, "the zip is damaged or compressed by an unknown method")


def _too_many_files(archive: UploadedFile, limits: Limits) -> Problem:
    return _named(ContentTooLarge, archive, f"the zip holds more than {limits.max_files} files")


def _too_large(archive: UploadedFile, limit_bytes: int) -> Problem:
    return _named(ContentTooLarge, archive, f"the zip unpacks to more than {limit_bytes / 2**20:.3g} MiB")

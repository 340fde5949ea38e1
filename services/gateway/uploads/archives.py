"""Unpacks one zip to the spool, with limits on entries, ratio and total bytes.

The sizes in the directory of a zip may be false, so the unpacked bytes are counted.
"""

import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from services.common.byte_sizes import format_bytes
from services.common.problems import ContentTooLarge, Problem, UnsupportedMediaType
from services.gateway.uploads.archive_formats import is_system_file
from services.gateway.uploads.spool import SpoolFolder, UploadedFile
from services.gateway.uploads.zip_directory import (
    MalformedZip,
    TooManyEntries,
    ZipDirectory,
    ZipEntry,
    read_directory_end,
    read_entries,
)
from services.gateway.uploads.zip_entries import DEFLATED, STORED, locate_data, unpacked_pieces
from services.gateway.uploads.zip_gaps import UnlistedEntry

_RATIO_COUNTS_FROM_BYTES: Final = 64 * 1024**2
_DIRECTORY_BYTES_AN_ENTRY: Final = 1024  # its name, and up to 36 bytes of times and owners
_MAX_DIRECTORY_BYTES: Final = 32 * 1024**2
_ENCRYPTED: Final = 0x1
_PATCHED: Final = 0x20
_MS_DOS_FOLDER: Final = 0x10  # an attribute, whatever system made the zip
_EMPTY_PACKED_BYTES: Final = 16  # deflate makes 2 bytes of an empty file, and encryption adds 12
_FEWER: Final = "send fewer files at a time"
_UNLISTED: Final = "the zip holds data that its directory does not list; make the zip anew, or send the files"
_METHODS: Final = {
    1: "Shrink", 6: "Implode", 9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd"
}  # fmt: skip


class BadArchive(Problem):
    status = 422
    code = "bad_archive"
    title = "The zip cannot be unpacked"


class UnsupportedArchive(UnsupportedMediaType):
    code = "unsupported_archive"
    title = "This archive is not unpacked here"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of an upload, unpacked.

    max_entries : all files, those of the operating system included (macOS adds one for each); by `max_files` if None
    upload : the limits of the whole upload, where these are the rest
    by_ratio : whether `max_bytes` is the rest of the sent zip's ratio
    """

    max_bytes: int
    max_files: int
    max_ratio: int
    max_entries: int | None = None
    upload: "Limits | None" = None
    by_ratio: bool = False

    @property
    def entries(self) -> int:
        """Largest number of entries of a zip, folders and files of the operating system included."""
        return 2 * self.max_files + 16 if self.max_entries is None else self.max_entries

    def minus(self, files: Sequence[UploadedFile], sign: int = 1) -> "Limits":
        """The limits that remain after these files."""
        counted = sum(not is_system_file(file.name) for file in files)
        return replace(
            self,
            max_bytes=self.max_bytes - sign * sum(file.size for file in files),
            max_files=self.max_files - sign * counted,
            max_entries=self.entries - sign * len(files),
            upload=self.upload or self,
        )

    def within_ratio(self, archive: UploadedFile) -> "Limits":
        """The limits of a sent zip and of the zips in it."""
        allowed = allowed_bytes(archive, self)
        return replace(self, max_bytes=allowed, by_ratio=allowed < self.max_bytes, upload=self.upload or self)

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
        it is damaged or encrypted, its parts contradict each other, or its directory lacks an entry
    UnsupportedArchive
        an entry is compressed by another method than deflate
    """
    try:
        with archive.path.open("rb") as file:
            end = _check_end(file, archive, limits)
            listed = list(read_entries(file, end, limits.entries))
            _check_entries(archive, [entry for entry in listed if not _is_folder(entry)], limits)
            data_at = locate_data(file, listed, end)
            entries = (each for each in zip(listed, data_at, strict=True) if not _is_folder(each[0]))
            return list(_extract(archive, file, entries, folder, limits))
    except TooManyEntries as error:
        raise _too_many_entries(archive, limits) from error
    except UnlistedEntry as error:
        raise _named(BadArchive, archive, _UNLISTED) from error
    except MalformedZip as error:
        raise _named(BadArchive, archive, f"the zip is damaged: {error}") from error


def _is_folder(entry: ZipEntry) -> bool:
    """By its name or attributes; an entry with data is no folder."""
    if entry.unpacked_bytes or entry.packed_bytes > _EMPTY_PACKED_BYTES:
        return False
    named = entry.name.endswith(("/", "\\"))
    return named or bool(entry.attributes & _MS_DOS_FOLDER) or stat.S_ISDIR(entry.attributes >> 16)


def _check_end(file: BinaryIO, archive: UploadedFile, limits: Limits) -> ZipDirectory:
    """Check the size of the central directory before it is read."""
    end = read_directory_end(file, archive.size)
    if end is None:
        raise MalformedZip("its directory is missing")
    if end.split:
        raise _named(BadArchive, archive, "it is a part of a split zip; join its parts and send them as one")
    if end.entries > limits.entries:
        raise _too_many_entries(archive, limits)
    most = min((limits.entries + 1) * _DIRECTORY_BYTES_AN_ENTRY, _MAX_DIRECTORY_BYTES)
    if end.directory_bytes > most:
        reason = f"the directory of the zip has more than {format_bytes(most)}; shorten the names of its files"
        raise _named(ContentTooLarge, archive, reason)
    return end


def _check_entries(archive: UploadedFile, entries: Sequence[ZipEntry], limits: Limits) -> None:
    if sum(not is_system_file(entry.name) for entry in entries) > limits.max_files:
        raise _too_many_files(archive, limits)
    if any(entry.flags & _ENCRYPTED for entry in entries):
        raise _named(BadArchive, archive, "the zip is encrypted")
    if any(entry.flags & _PATCHED for entry in entries):
        raise _named(UnsupportedArchive, archive, "the zip holds patches (compressed patched data); send the files")
    for entry in entries:
        if entry.method not in (STORED, DEFLATED):
            raise _unsupported_method(archive, entry)
    if sum(entry.unpacked_bytes for entry in entries) > allowed_bytes(archive, limits):
        raise _too_large(archive, limits)


def _unsupported_method(archive: UploadedFile, entry: ZipEntry) -> Problem:
    known = _METHODS.get(entry.method)
    method = f"{known} (method {entry.method})" if known else f"method {entry.method}"
    large = ", which Windows Explorer uses above 2 GB" if known == "Deflate64" else ""
    reason = f"{entry.name} is compressed by {method}{large}; zip it by Deflate, or send the files"
    return _named(UnsupportedArchive, archive, reason)


def allowed_bytes(archive: UploadedFile, limits: Limits) -> int:
    """The lower limit of total bytes and ratio; the ratio of small archives is not limited."""
    return min(limits.max_bytes, max(archive.size * limits.max_ratio, _RATIO_COUNTS_FROM_BYTES))


def _extract(
    archive: UploadedFile,
    packed: BinaryIO,
    entries: Iterable[tuple[ZipEntry, int]],
    folder: SpoolFolder,
    limits: Limits,
) -> Iterator[UploadedFile]:
    left = allowed_bytes(archive, limits)
    for number, (entry, data_at) in enumerate(entries, start=1):
        with folder.create() as file:
            for piece in unpacked_pieces(packed, entry, data_at):
                left -= len(piece)
                if left < 0:
                    raise _too_large(archive, limits)
                file.write(piece)
            yield UploadedFile(entry.name or f"entry {number}", Path(file.name), file.tell())


def _named(kind: type[Problem], archive: UploadedFile, reason: str) -> Problem:
    files = [{"file": archive.name, "code": kind.code, "reason": reason}]
    return kind(f"{archive.name}: {reason}.", files=files)


def _too_many_files(archive: UploadedFile, limits: Limits) -> Problem:
    most = (limits.upload or limits).max_files
    return _named(ContentTooLarge, archive, f"the upload has more than {most} files, with those of this zip; {_FEWER}")


def _too_many_entries(archive: UploadedFile, limits: Limits) -> Problem:
    most = (limits.upload or limits).entries
    kinds = "files and folders, with those of this zip and of the operating system"
    return _named(ContentTooLarge, archive, f"the upload has more than {most} {kinds}; {_FEWER}")


def _too_large(archive: UploadedFile, limits: Limits) -> Problem:
    if limits.by_ratio or allowed_bytes(archive, limits) < limits.max_bytes:
        least = format_bytes(_RATIO_COUNTS_FROM_BYTES)
        reason = (
            f"the sent zip unpacks to more than {least} and {limits.max_ratio} times its size; send its files unpacked"
        )
    else:
        most = format_bytes((limits.upload or limits).max_bytes)
        reason = f"the upload has more than {most}, with the unpacked files of this zip; {_FEWER}"
    return _named(ContentTooLarge, archive, reason)

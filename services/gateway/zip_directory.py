"""Reads the end of a zip's central directory: number of entries and size (APPNOTE 4.3.14 to 4.3.16).

It is checked before the standard library reads the whole directory, by the same rules. Then the directory is compared
with the local headers of the entries (4.3.7 to 4.3.9).
"""

import struct
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_END_SIGNATURE, _END64_SIGNATURE, _LOCATOR_SIGNATURE = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY_SIGNATURE: Final = b"PK\x01\x02"
_LOCAL: Final = struct.Struct("<4s22x2H")  # its signature, and the lengths of its name and extra field
_LOCAL_SIGNATURE: Final = b"PK\x03\x04"
_DESCRIPTOR_BYTES: Final = (0, 12, 16, 20, 24)  # sizes of the data descriptor behind an entry's data
_MAX_COMMENT_BYTES: Final = 0xFFFF
_END64_BODY_BYTES: Final = 44  # a record without extensible data
_IN_ZIP64: Final = (0xFFFF, 0xFFFFFFFF)  # placeholders of numbers in the zip64 record


@dataclass(frozen=True, slots=True)
class ZipDirectory:
    """The end of the central directory; `directory_at` is the offset of the directory."""

    entries: int
    directory_bytes: int
    directory_at: int
    split: bool

    def fits(self, file: BinaryIO) -> bool:
        """Whether a directory is at its offset, or this is the last part of a split zip."""
        if self.split or self.directory_at < 0 or not self.entries:
            return self.split
        file.seek(self.directory_at)
        return file.read(len(_ENTRY_SIGNATURE)) == _ENTRY_SIGNATURE


def read_directory_end(file: BinaryIO, size: int) -> ZipDirectory | None:
    """The end of the directory of a zip of `size` bytes; None where there is none.

    Raises
    ------
    BadZipFile
        its numbers are in a zip64 record that is missing or at another offset
    """
    start = max(0, size - _END.size - _MAX_COMMENT_BYTES)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) < at + _END.size:
        return None
    _, disk, first_disk, _, entries, length, _, _ = _END.unpack_from(tail, at)
    if found := _zip64(file, start + at):
        return found
    if _IN_ZIP64[0] == entries or _IN_ZIP64[1] == length:
        raise zipfile.BadZipFile("zip64 numbers are missing")
    return ZipDirectory(entries, length, start + at - length, split=bool(disk or first_disk))


def has_unlisted_entries(file: BinaryIO, entries: Sequence[zipfile.ZipInfo]) -> bool:
    """Whether there is an entry at the start of a zip, or behind one of `entries`, that is none of them."""
    listed = {entry.header_offset for entry in entries}
    offsets = (0, *(offset for entry in entries for offset in _next_offsets(file, entry)))
    return any(at not in listed and _read(file, _LOCAL, at)[0] == _LOCAL_SIGNATURE for at in offsets)


def _next_offsets(file: BinaryIO, entry: zipfile.ZipInfo) -> list[int]:
    """Possible offsets of the next entry; the standard library refuses an entry without a local header."""
    mark, name_bytes, extra_bytes = _read(file, _LOCAL, entry.header_offset)[:3]
    if mark != _LOCAL_SIGNATURE:
        return []
    end = entry.header_offset + _LOCAL.size + name_bytes + extra_bytes + entry.compress_size
    return [end + size for size in _DESCRIPTOR_BYTES]


def _zip64(file: BinaryIO, end_at: int) -> ZipDirectory | None:
    """The end by the zip64 record, which has precedence; None without a locator before the end."""
    locator_at = end_at - _LOCATOR.size
    record_at = locator_at - _END64.size
    mark, disk, stated_at, disks = _read(file, _LOCATOR, locator_at)[:4]
    if mark != _LOCATOR_SIGNATURE:
        return None
    if disk or disks > 1:
        return ZipDirectory(0, 0, 0, split=True)
    found = _read(file, _END64, record_at)
    if found[0] != _END64_SIGNATURE or found[1] != _END64_BODY_BYTES or _is_another(file, stated_at, record_at):
        raise zipfile.BadZipFile("the zip64 record is at another offset")
    return ZipDirectory(found[7], found[8], record_at - found[8], split=bool(found[4] or found[5]))


def _is_another(file: BinaryIO, stated_at: int, record_at: int) -> bool:
    """Whether there is a second record at the locator's offset; data in front of a zip make that offset too small."""
    return stated_at > record_at or (stated_at < record_at and _read(file, _END64, stated_at)[0] == _END64_SIGNATURE)


def _read(file: BinaryIO, record: struct.Struct, at: int) -> tuple[Any, ...]:
    """A record's fields; empty ones where it does not fit."""
    if not 0 <= at <= sys.maxsize:  # offsets in zip64 may exceed any file
        return (b"",) * 10
    file.seek(at)
    data = file.read(record.size)
    return record.unpack(data) if len(data) == record.size else (b"",) * 10

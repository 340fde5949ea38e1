"""The end of a zip: how many entries its directory has and how long it is (APPNOTE 4.3.14 to 4.3.16).

It is read here before the standard library reads all of the directory, and by the same rules. Then the directory is
held against the entries themselves (4.3.7 to 4.3.9).
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
_END_MARK, _END64_MARK, _LOCATOR_MARK = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY_MARK: Final = b"PK\x01\x02"
_LOCAL: Final = struct.Struct("<4s22x2H")  # its mark, and how long its name and its extra field are
_LOCAL_MARK: Final = b"PK\x03\x04"
_DESCRIPTOR_BYTES: Final = (0, 12, 16, 20, 24)  # what may stand behind an entry's data
_MAX_COMMENT_BYTES: Final = 0xFFFF
_END64_BODY_BYTES: Final = 44  # a record without extensible data
_ELSEWHERE: Final = (0xFFFF, 0xFFFFFFFF)  # in place of numbers that stand in the zip64 record


@dataclass(frozen=True, slots=True)
class ZipDirectory:
    """`directory_at` is where the directory begins, counted back from its end."""

    entries: int
    directory_bytes: int
    directory_at: int
    split: bool

    def fits(self, file: BinaryIO) -> bool:
        """Whether a directory stands where it must, or this is the last part of a split zip."""
        if self.split or self.directory_at < 0 or not self.entries:
            return self.split
        file.seek(self.directory_at)
        return file.read(len(_ENTRY_MARK)) == _ENTRY_MARK


def read_directory_end(file: BinaryIO, size: int) -> ZipDirectory | None:
    """The end of a zip of that many bytes; None where there is none.

    Raises
    ------
    BadZipFile
        its numbers are said to stand in a zip64 record, and that is missing or not where it must be.
    """
    start = max(0, size - _END.size - _MAX_COMMENT_BYTES)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(_END_MARK)
    if at < 0 or len(tail) < at + _END.size:
        return None
    _, disk, first_disk, _, entries, length, _, _ = _END.unpack_from(tail, at)
    if found := _zip64(file, start + at):
        return found
    if _ELSEWHERE[0] == entries or _ELSEWHERE[1] == length:
        raise zipfile.BadZipFile("zip64 numbers are missing")
    return ZipDirectory(entries, length, start + at - length, split=bool(disk or first_disk))


def has_unlisted_entries(file: BinaryIO, entries: Sequence[zipfile.ZipInfo]) -> bool:
    """Whether an entry stands at the start of a zip, or behind one of these, and is none of these."""
    listed = {entry.header_offset for entry in entries}
    places = (0, *(place for entry in entries for place in _next_places(file, entry)))
    return any(place not in listed and _read(file, _LOCAL, place)[0] == _LOCAL_MARK for place in places)


def _next_places(file: BinaryIO, entry: zipfile.ZipInfo) -> list[int]:
    """Where the next entry may begin; the standard library refuses an entry without its own header."""
    mark, name_bytes, extra_bytes = _read(file, _LOCAL, entry.header_offset)[:3]
    if mark != _LOCAL_MARK:
        return []
    end = entry.header_offset + _LOCAL.size + name_bytes + extra_bytes + entry.compress_size
    return [end + size for size in _DESCRIPTOR_BYTES]


def _zip64(file: BinaryIO, end_at: int) -> ZipDirectory | None:
    """What the zip64 record says, which counts for more; None where no locator stands in front of the end."""
    locator_at = end_at - _LOCATOR.size
    record_at = locator_at - _END64.size
    mark, disk, stated_at, disks = _read(file, _LOCATOR, locator_at)[:4]
    if mark != _LOCATOR_MARK:
        return None
    if disk or disks > 1:
        return ZipDirectory(0, 0, 0, split=True)
    found = _read(file, _END64, record_at)
    if found[0] != _END64_MARK or found[1] != _END64_BODY_BYTES or _is_another(file, stated_at, record_at):
        raise zipfile.BadZipFile("the zip64 record is not where it must be")
    return ZipDirectory(found[7], found[8], record_at - found[8], split=bool(found[4] or found[5]))


def _is_another(file: BinaryIO, stated_at: int, record_at: int) -> bool:
    """Whether a second record stands where the locator says; data in front of a zip make it say less than is true."""
    return stated_at > record_at or (stated_at < record_at and _read(file, _END64, stated_at)[0] == _END64_MARK)


def _read(file: BinaryIO, record: struct.Struct, at: int) -> tuple[Any, ...]:
    """A record's fields; empty ones where it does not fit."""
    if not 0 <= at <= sys.maxsize:  # zip64 can name places where no file reaches
        return (b"",) * 10
    file.seek(at)
    data = file.read(record.size)
    return record.unpack(data) if len(data) == record.size else (b"",) * 10

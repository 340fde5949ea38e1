"""The end of a zip: how many entries its directory has and how long it is (APPNOTE 4.3.14 to 4.3.16).

It is read here before the standard library reads all of the directory, and by the same rules.
"""

import struct
import zipfile
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_END_MARK, _END64_MARK, _LOCATOR_MARK = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY_MARK: Final = b"PK\x01\x02"
_MAX_COMMENT_BYTES: Final = 0xFFFF
_END64_BODY_BYTES: Final = 44  # a record without extensible data
_ELSEWHERE: Final = (0xFFFF, 0xFFFFFFFF)  # in place of numbers that stand in the zip64 record


@dataclass(frozen=True, slots=True)
class ZipEnd:
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


def read_end(file: BinaryIO, size: int) -> ZipEnd | None:
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
    return ZipEnd(entries, length, start + at - length, split=bool(disk or first_disk))


def _zip64(file: BinaryIO, end_at: int) -> ZipEnd | None:
    """What the zip64 record says, which counts for more; None where no locator stands in front of the end."""
    locator_at = end_at - _LOCATOR.size
    record_at = locator_at - _END64.size
    mark, disk, stated_at, disks = _read(file, _LOCATOR, locator_at)[:4]
    if mark != _LOCATOR_MARK:
        return None
    if disk or disks > 1:
        return ZipEnd(0, 0, 0, split=True)
    found = _read(file, _END64, record_at)
    if found[0] != _END64_MARK or found[1] != _END64_BODY_BYTES or _is_another(file, stated_at, record_at):
        raise zipfile.BadZipFile("the zip64 record is not where it must be")
    return ZipEnd(found[7], found[8], record_at - found[8], split=bool(found[4] or found[5]))


def _is_another(file: BinaryIO, stated_at: int, record_at: int) -> bool:
    """Whether a second record stands where the locator says; data in front of a zip make it say less than is true."""
    return stated_at > record_at or (stated_at < record_at and _read(file, _END64, stated_at)[0] == _END64_MARK)


def _read(file: BinaryIO, record: struct.Struct, at: int) -> tuple[Any, ...]:
    """A record's fields; empty ones where it does not fit."""
    if at < 0:
        return (b"",) * 10
    file.seek(at)
    data = file.read(record.size)
    return record.unpack(data) if len(data) == record.size else (b"",) * 10

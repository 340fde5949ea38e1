"""Reads the central directory of a zip within limits: its end first, then its entries as a stream (APPNOTE 4.3.12 on).

The standard library reads the whole directory into objects before a caller can refuse it, and takes either of two ends
that disagree. Here both ends are read once, and everything that disagrees is refused.
"""

import struct
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

MAX_NAME_BYTES: Final = 4096  # PATH_MAX of Linux
MAX_EXTRA_FIELDS: Final = 32  # of an entry; writers add a handful
END_SIGNATURE: Final = b"PK\x05\x06"

_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_ENTRY: Final = struct.Struct("<4s4x2H4x3L3H4x2L")
_END64_SIGNATURE, _LOCATOR_SIGNATURE = b"PK\x06\x06", b"PK\x06\x07"
_ENTRY_SIGNATURE: Final = b"PK\x01\x02"
_MAX_COMMENT_BYTES: Final = 0xFFFF
_END64_BODY_BYTES: Final = 44  # a record without extensible data
_IN_ZIP64_SHORT, _IN_ZIP64_LONG = 0xFFFF, 0xFFFFFFFF  # placeholders of numbers in a zip64 record or field
_MODULUS: Final = 1 << 16  # of the number of entries
_FIELD: Final = struct.Struct("<2H")
_ZIP64_FIELD: Final = 0x0001
_UNICODE_PATH_FIELD: Final = 0x7075
_KEPT_FIELDS: Final = frozenset({_ZIP64_FIELD, _UNICODE_PATH_FIELD})
_UTF8: Final = 0x0800


class MalformedZip(Exception):
    """The zip is damaged, or its parts contradict each other."""


class TooManyEntries(Exception):
    """The directory has more entries than allowed."""


@dataclass(frozen=True, slots=True)
class ZipDirectory:
    """The end of the central directory.

    entries : their number; without a zip64 record, modulo 65,536: macOS' Archive Utility writes none
    directory_at : offset of the directory in the file
    data_before : bytes in front of the zip, such as a program that unpacks it; the offsets of entries lack them
    """

    entries: int
    directory_bytes: int
    directory_at: int
    data_before: int
    split: bool
    by_modulo: bool = False

    def fits(self, file: BinaryIO) -> bool:
        """Whether a directory is at its offset, or this is the last part of a split zip."""
        if self.split or self.directory_at < 0 or not self.directory_bytes:
            return self.split
        file.seek(self.directory_at)
        return file.read(len(_ENTRY_SIGNATURE)) == _ENTRY_SIGNATURE


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One entry of the directory.

    raw_name : as in the entry's local header
    header_at : offset of the local header in the file
    attributes : external ones, whose meaning depends on the system that made the zip
    """

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc32: int
    packed_bytes: int
    unpacked_bytes: int
    attributes: int
    header_at: int


def read_directory_end(file: BinaryIO, size: int) -> ZipDirectory | None:
    """The end of the directory of a zip of `size` bytes; None where there is none.

    Raises
    ------
    MalformedZip
        its numbers are in a zip64 record that is missing or at another offset, or the two ends disagree
    """
    start = max(0, size - _END.size - _MAX_COMMENT_BYTES)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(END_SIGNATURE)
    if at < 0 or len(tail) < at + _END.size:
        return None
    _, disk, first_disk, here, entries, length, offset, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment > len(tail):
        return None
    stated = _Numbers(disk, first_disk, here, entries, length, offset)
    return _zip64(file, start + at, stated) or stated.directory(start + at)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers of an end: disks, entries here and in all, bytes and offset of the directory."""

    disk: int
    first_disk: int
    here: int
    entries: int
    length: int
    offset: int

    def directory(self, end_at: int) -> ZipDirectory:
        """The directory in front of an end at this offset."""
        if self.length == _IN_ZIP64_LONG:
            raise MalformedZip("zip64 numbers are missing")
        at = end_at - self.length
        split = bool(self.disk or self.first_disk)
        if not split and self.here != self.entries:
            raise MalformedZip("the end states two numbers of entries")
        return ZipDirectory(self.entries, self.length, at, at - self.offset, split, by_modulo=True)

    def agrees_with(self, other: "_Numbers") -> bool:
        """Whether each number is that of a zip64 record, or a placeholder for it."""
        shorts = ((self.here, other.here), (self.entries, other.entries))
        longs = ((self.length, other.length), (self.offset, other.offset))
        return all(own in (_IN_ZIP64_SHORT, found) for own, found in shorts) and all(
            own in (_IN_ZIP64_LONG, found) for own, found in longs
        )


def _zip64(file: BinaryIO, end_at: int, stated: _Numbers) -> ZipDirectory | None:
    """The directory by the zip64 record, which has precedence; None without a locator before the end."""
    locator_at = end_at - _LOCATOR.size
    record_at = locator_at - _END64.size
    mark, disk, stated_at, disks = _read(file, _LOCATOR, locator_at)[:4]
    if mark != _LOCATOR_SIGNATURE:
        return None
    if disk or disks > 1:
        return ZipDirectory(0, 0, 0, 0, split=True)
    found = _read(file, _END64, record_at)
    if found[0] != _END64_SIGNATURE or found[1] != _END64_BODY_BYTES or _is_another(file, stated_at, record_at):
        raise MalformedZip("the zip64 record is at another offset")
    numbers = _Numbers(*found[4:10])
    if not stated.agrees_with(numbers):
        raise MalformedZip("the two ends of the directory disagree")
    at = record_at - numbers.length
    return ZipDirectory(numbers.entries, numbers.length, at, at - numbers.offset, bool(found[4] or found[5]))


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


def read_entries(file: BinaryIO, end: ZipDirectory, most: int) -> Iterator[ZipEntry]:
    """The entries of a directory, which must hold exactly as many as its end states.

    Parameters
    ----------
    most : largest number of entries

    Raises
    ------
    MalformedZip
        an entry is damaged, or its name or number of extra fields exceeds its limit; or the directory has another
        length or another number of entries
    TooManyEntries
        before an entry beyond `most` is read
    """
    if end.directory_at < 0 or end.data_before < 0:
        raise MalformedZip("the directory lies in front of the file")
    file.seek(end.directory_at)
    left, expected, number = end.directory_bytes, end.entries, 0
    while number < (expected := _expected(end, expected, number, left)):
        if number >= most:
            raise TooManyEntries
        entry, size = _read_entry(file, left, end.data_before)
        left, number = left - size, number + 1
        yield entry
    if left:
        raise MalformedZip("the directory is longer than its entries")


def _expected(end: ZipDirectory, expected: int, number: int, left: int) -> int:
    """The number of entries after so many, with so many bytes left: 65,536 more where they may be that many."""
    if number == expected and end.by_modulo and left >= _MODULUS * _ENTRY.size:
        return expected + _MODULUS
    return expected


def _read_entry(file: BinaryIO, left: int, data_before: int) -> tuple[ZipEntry, int]:
    """The next entry, and its bytes in the directory; `left` bytes of the directory remain."""
    fixed = file.read(_ENTRY.size) if left >= _ENTRY.size else b""
    if not fixed.startswith(_ENTRY_SIGNATURE) or len(fixed) < _ENTRY.size:
        raise MalformedZip("an entry of the directory is missing")
    _, flags, method, crc32, packed, unpacked, name_bytes, extra_bytes, comment_bytes, attributes, at = _ENTRY.unpack(
        fixed
    )
    size = _ENTRY.size + name_bytes + extra_bytes + comment_bytes
    if size > left or name_bytes > MAX_NAME_BYTES:
        raise MalformedZip("an entry of the directory is too long")
    raw_name, extra, _ = file.read(name_bytes), file.read(extra_bytes), file.read(comment_bytes)
    fields = _extra_fields(extra)
    if _IN_ZIP64_LONG in (packed, unpacked, at):
        unpacked, packed, at = _zip64_numbers(fields, unpacked, packed, at)
    name = _unicode_name(fields, raw_name) or _text(raw_name, flags)
    return ZipEntry(name, raw_name, flags, method, crc32, packed, unpacked, attributes, at + data_before), size


def _zip64_numbers(fields: Mapping[int, bytes], *numbers: int) -> Iterator[int]:
    """The numbers, with those of the zip64 field in place of placeholders (APPNOTE 4.5.3)."""
    field = fields.get(_ZIP64_FIELD, b"")
    for number in numbers:
        if number != _IN_ZIP64_LONG:
            yield number
            continue
        if len(field) < 8:  # noqa: PLR2004 - bytes of a number
            raise MalformedZip("a zip64 number of an entry is missing")
        yield int.from_bytes(field[:8], "little")
        field = field[8:]


def _extra_fields(extra: bytes) -> dict[int, bytes]:
    """The first extra field of each kind that is read here (APPNOTE 4.5.1)."""
    fields: dict[int, bytes] = {}
    at, last = 0, len(extra) - _FIELD.size
    for _ in range(MAX_EXTRA_FIELDS):
        if at > last:
            return fields
        kind, length = _FIELD.unpack_from(extra, at)
        at += _FIELD.size + length
        if kind in _KEPT_FIELDS:
            fields.setdefault(kind, extra[at - length : at])
    if at > last:
        return fields
    raise MalformedZip(f"an entry has more than {MAX_EXTRA_FIELDS} extra fields")


def _unicode_name(fields: Mapping[int, bytes], raw_name: bytes) -> str:
    """The name that Info-ZIP adds in UTF-8, unless it belongs to another name (APPNOTE 4.6.9)."""
    field = fields.get(_UNICODE_PATH_FIELD, b"")
    if field[:5] != b"\x01" + zlib.crc32(raw_name).to_bytes(4, "little"):
        return ""
    return field[5:].decode("utf-8", "replace").partition("\0")[0]


def _text(raw_name: bytes, flags: int) -> str:
    """A name, up to its first zero byte."""
    try:
        return raw_name.decode("utf-8" if flags & _UTF8 else "cp437").partition("\0")[0]
    except UnicodeDecodeError:
        raise MalformedZip("a name is not UTF-8") from None

"""Finds entries that a zip's directory does not list, in the gaps between those that it lists.

Gaps are legitimate: a data descriptor has up to 24 bytes (APPNOTE 4.3.9), a zip that unpacks itself begins with a
program, and a signed or aligned one may have other data. A local header in a gap is an entry that a reader of the
directory misses, such as a slice of a study.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

from services.gateway.uploads.zip_directory import MAX_NAME_BYTES, MalformedZip

LOCAL: Final = struct.Struct("<4s2x2H16x2H")
"""A local header: signature, flags, method, bytes of the name and of the extra fields (APPNOTE 4.3.7)."""
LOCAL_SIGNATURE: Final = b"PK\x03\x04"
_VERSION_AT: Final = len(LOCAL_SIGNATURE)
_LARGEST_VERSION: Final = 100  # APPNOTE 4.4.3 goes up to 6.3, written as 63
_LARGEST_METHOD: Final = 99  # APPNOTE 4.4.5
_FIRST_PRINTABLE: Final = 0x20
_PIECE_BYTES: Final = 1 << 20
_MAX_SIGNATURES: Final = 1000  # in data that are no entries; a program has a few


class UnlistedEntry(MalformedZip):
    """The zip holds an entry that its directory does not list."""


def check_gaps(file: BinaryIO, gaps: Iterable[tuple[int, int]]) -> None:
    """UnlistedEntry where a range of bytes holds an entry, or more than 1,000 signatures of one."""
    found = 0
    for start, end in gaps:
        for at in _signatures(file, start, end) if end - start >= LOCAL.size else ():
            found += 1
            if found > _MAX_SIGNATURES or _is_entry(file, at, end):
                raise UnlistedEntry("an entry is not listed")


def _signatures(file: BinaryIO, start: int, end: int) -> Iterator[int]:
    """The offsets of local signatures between two offsets; pieces overlap by less than one signature."""
    overlap = len(LOCAL_SIGNATURE) - 1
    for at in range(start, end, _PIECE_BYTES):
        piece = os.pread(file.fileno(), min(_PIECE_BYTES + overlap, end - at), at)
        found = piece.find(LOCAL_SIGNATURE)
        while found >= 0:
            yield at + found
            found = piece.find(LOCAL_SIGNATURE, found + 1)


def _is_entry(file: BinaryIO, at: int, end: int) -> bool:
    """Whether a local header that a program could have written lies between two offsets."""
    head = os.pread(file.fileno(), min(LOCAL.size + MAX_NAME_BYTES, end - at), at)
    if len(head) < LOCAL.size:
        return False
    _, _, method, name_bytes, extra_bytes = LOCAL.unpack_from(head)
    name = head[LOCAL.size :][:name_bytes]
    fits = 0 < name_bytes <= len(name) and at + LOCAL.size + name_bytes + extra_bytes <= end
    known = head[_VERSION_AT] <= _LARGEST_VERSION and method <= _LARGEST_METHOD
    return fits and known and min(name) >= _FIRST_PRINTABLE

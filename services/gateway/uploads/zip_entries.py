"""Locates the data of a zip's entries, and unpacks one entry in bounded pieces (APPNOTE 4.3.7 to 4.3.9).

`ZipExtFile.read` of the standard library sets no limit on one call of bzip2 or LZMA: 1 kB of packed data may become
gigabytes. Here every call of the decompressor has a limit of output, and only stored and deflated entries are read.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from services.gateway.uploads.zip_directory import MalformedZip, ZipDirectory, ZipEntry
from services.gateway.uploads.zip_gaps import LOCAL, LOCAL_SIGNATURE, check_gaps

STORED, DEFLATED = 0, 8

_PACKED_PIECE_BYTES: Final = 1 << 16
_PIECE_BYTES: Final = 1 << 20


def locate_data(file: BinaryIO, entries: Sequence[ZipEntry], end: ZipDirectory) -> list[int]:
    """The offset of each entry's packed data.

    Raises
    ------
    MalformedZip
        an entry differs from its local header, or overlaps another entry or the directory
    UnlistedEntry
        a gap holds an entry: in front of the first one, between two, in front of the directory, or behind it
    """
    order = sorted(range(len(entries)), key=lambda number: entries[number].header_at)
    data_at = [0] * len(entries)
    gaps, at = [], 0
    for number in order:
        entry = entries[number]
        if entry.header_at < at:
            raise MalformedZip("two entries overlap")
        data_at[number] = _data_offset(file, entry)
        gaps.append((at, entry.header_at))
        at = data_at[number] + entry.packed_bytes
    if at > end.directory_at:
        raise MalformedZip("two entries overlap")
    behind = end.directory_at + end.directory_bytes
    check_gaps(file, (*gaps, (at, end.directory_at), (behind, os.fstat(file.fileno()).st_size)))
    return data_at


def _data_offset(file: BinaryIO, entry: ZipEntry) -> int:
    if not 0 <= entry.header_at < 1 << 63:
        raise MalformedZip("an entry lies outside the file")
    size = LOCAL.size + len(entry.raw_name)
    head = os.pread(file.fileno(), size, entry.header_at)
    if len(head) < size:
        raise MalformedZip("a local header is missing")
    mark, _, method, name_bytes, extra_bytes = LOCAL.unpack_from(head)
    same_name = name_bytes == len(entry.raw_name) and head.endswith(entry.raw_name)
    same_method = method == entry.method or not entry.packed_bytes
    if mark != LOCAL_SIGNATURE or not same_name or not same_method:
        raise MalformedZip("an entry differs from its local header")
    return entry.header_at + size + int(extra_bytes)


def unpacked_pieces(file: BinaryIO, entry: ZipEntry, data_at: int) -> Iterator[bytes]:
    """The data of a stored or deflated entry, in pieces of at most 1 MiB.

    Raises
    ------
    MalformedZip
        the data are damaged, end too early or too late, or have another size or CRC-32 than the directory states
    """
    packed = _packed_pieces(file, entry, data_at)
    size = crc32 = 0
    for piece in _inflated(packed) if entry.method == DEFLATED and entry.packed_bytes else packed:
        size += len(piece)
        if size > entry.unpacked_bytes:
            break
        crc32 = zlib.crc32(piece, crc32)
        yield piece
    if (size, crc32) != (entry.unpacked_bytes, entry.crc32):
        raise MalformedZip("an entry has another size or CRC-32 than stated")


def _packed_pieces(file: BinaryIO, entry: ZipEntry, data_at: int) -> Iterator[bytes]:
    end = data_at + entry.packed_bytes
    for at in range(data_at, end, _PACKED_PIECE_BYTES):
        size = min(_PACKED_PIECE_BYTES, end - at)
        piece = os.pread(file.fileno(), size, at)
        if len(piece) < size:
            raise MalformedZip("the packed data end too early")
        yield piece


def _inflated(packed: Iterator[bytes]) -> Iterator[bytes]:
    """Raw deflate (RFC 1951) of the packed pieces; each call of zlib returns at most 1 MiB."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in packed:
        rest, full = piece, True
        while rest or full:  # after a full piece, zlib may hold more output than `unconsumed_tail` shows
            made = _inflate(inflater, rest)
            rest, full = inflater.unconsumed_tail, len(made) == _PIECE_BYTES
            if made:
                yield made
        if inflater.unused_data:
            break
    if not inflater.eof or inflater.unused_data:
        raise MalformedZip("the packed data end too early or too late")


def _inflate(inflater: "zlib._Decompress", packed: bytes) -> bytes:
    try:
        return inflater.decompress(packed, _PIECE_BYTES)
    except zlib.error:
        raise MalformedZip("the packed data are damaged") from None

"""Frames in encapsulated pixel data (PS3.5 A.4): their number, to detect more than NumberOfFrames, and places."""

from collections.abc import Iterator
from struct import unpack_from
from typing import Final

from pydicom.uid import RLELossless

_ITEM: Final = 0xE000FFFE  # as a little-endian number
_HEAD_BYTES: Final = 8
_MAX_FRAGMENTS: Final = 64  # of a frame whose place is given
MAX_ITEMS: Final = 100_000  # in a file: 50 fragments of each of 2,000 frames
_MAX_SEGMENTS: Final = 15
_FIRST_SEGMENT: Final = (64).to_bytes(4, "little")
_STARTS: Final = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")  # of a JPEG, of a JPEG 2000 codestream


def count_frames(data: memoryview, start: int, transfer_syntax: str) -> int:
    """The number of frames by the basic offset table or, where it is empty, by the fragments that start a frame.

    Pixel data of more items than any frames need count as so many frames.

    Parameters
    ----------
    data : the file, whole or truncated
    start : offset of the value of PixelData
    transfer_syntax : its UID
    """
    table, *fragments = list(_items(data, start)) or [memoryview(b"")]
    if len(fragments) + 1 == MAX_ITEMS:
        return MAX_ITEMS
    if len(table):
        return len(table) // 4
    starts_frame = _starts_run_lengths if transfer_syntax == RLELossless else _starts_jpeg
    return sum(starts_frame(bytes(fragment[:_HEAD_BYTES])) for fragment in fragments)


def frame_places(data: memoryview, start: int, transfer_syntax: str, frames: int) -> tuple[int, ...]:
    """Where the fragments of each frame begin, and where the last ones end; nothing where that is uncertain.

    By the basic offset table; where it is empty, by the fragments that start a frame.

    Parameters
    ----------
    data : the whole file
    start : offset of the value of PixelData
    frames : number of frames by the header
    """
    table, *fragments = list(_items(data, start)) or [memoryview(b"")]
    if len(fragments) > _MAX_FRAGMENTS * frames:
        return ()
    first, at = start + _HEAD_BYTES + len(table), 0
    starts_frame = _starts_run_lengths if transfer_syntax == RLELossless else _starts_jpeg
    places: dict[int, bool] = {}
    for fragment in fragments:
        places[at] = starts_frame(bytes(fragment[:_HEAD_BYTES]))
        at += _HEAD_BYTES + len(fragment)
    offsets = list(unpack_from(f"<{len(table) // 4}L", table)) or [
        offset for offset, begins in places.items() if begins
    ]
    ascending = offsets == sorted(set(offsets)) and offsets[:1] == [0]
    if len(offsets) != frames or not ascending or not places.keys() >= set(offsets):
        return ()
    return tuple(first + offset for offset in (*offsets, at))


def join_fragments(data: memoryview, start: int) -> bytes:
    """The values of all fragments from `start` on: the codestream of a frame that was sent alone."""
    return b"".join(_items(data, start))


def is_followed_by_file(data: memoryview, start: int) -> bool:
    """Whether a DICOM file or a zip follows the fragments.

    Parameters
    ----------
    start : offset of the value of PixelData
    """
    end = start + sum(len(item) + _HEAD_BYTES for item in _items(data, start)) + _HEAD_BYTES  # with the delimiter
    return bytes(data[end + 128 : end + 132]) == b"DICM" or bytes(data[end : end + 4]) == b"PK\3\4"


def _starts_jpeg(head: bytes) -> bool:
    return head.startswith(_STARTS)


def _starts_run_lengths(head: bytes) -> bool:
    """Check the number of segments, and the first segment's offset: the length of this header (PS3.5 G.5)."""
    return 1 <= int.from_bytes(head[:4], "little") <= _MAX_SEGMENTS and head[4:] == _FIRST_SEGMENT


def _items(data: memoryview, at: int) -> Iterator[memoryview]:
    """The values of the items, at most `MAX_ITEMS`: each takes time and memory, and a crafted file has millions."""
    for _ in range(MAX_ITEMS):
        if at + _HEAD_BYTES > len(data):
            return
        tag, length = unpack_from("<LL", data, at)
        if tag != _ITEM:
            return
        yield data[at + _HEAD_BYTES : at + _HEAD_BYTES + length]
        at += _HEAD_BYTES + length

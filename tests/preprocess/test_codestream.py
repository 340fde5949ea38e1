"""Frames out of fragments (PS3.5 A.4)."""

from collections.abc import Callable
from struct import pack

import pytest
from pydicom.uid import JPEG2000, JPEGBaseline8Bit, RLELossless

from services.preprocess.codestream import check, codestream_of
from services.preprocess.failures import Unreadable
from services.preprocess.header import Codec


def items(*parts: bytes) -> list[memoryview]:
    return [memoryview(part) for part in parts]


def test_one_frame_may_span_fragments() -> None:
    assert codestream_of(items(b"", b"ab", b"cd"), 0, 1) == b"abcd"


def test_a_fragment_for_each_frame() -> None:
    assert codestream_of(items(b"", b"ab", b"cd"), 1, 2) == b"cd"


@pytest.mark.parametrize(("frame", "found"), [(0, b"abcd"), (1, b"ef"), (2, b"ghij")])
def test_frames_by_their_offsets(frame: int, found: bytes) -> None:
    """An offset counts from the first fragment's item tag; every item has eight bytes before its value."""
    table = pack("<3L", 0, 20, 30)
    assert codestream_of(items(table, b"ab", b"cd", b"ef", b"gh", b"ij"), frame, 3) == found


def test_frames_that_nothing_tells_apart() -> None:
    with pytest.raises(IndexError):
        codestream_of(items(b"", b"ab", b"cd", b"ef"), 1, 2)


def jpeg(rows: int, columns: int, components: int = 1) -> bytes:
    tables = b"\xff\xdb\x00\x04\x00\x00"
    return b"\xff\xd8" + tables + b"\xff\xc0" + pack(">HBHHB", 11, 8, rows, columns, components) + b"\xff\xd9"


def jpeg_2000(rows: int, columns: int) -> bytes:
    size = pack(">HH8LH", 41, 0, columns, rows, 0, 0, columns, rows, 0, 0, 1)
    return b"\xff\x4f\xff\x51" + size + b"\xff\xd9"


@pytest.mark.parametrize(("syntax", "made"), [(JPEGBaseline8Bit, jpeg), (JPEG2000, jpeg_2000)])
def test_size_must_be_the_headers(syntax: str, made: Callable[[int, int], bytes]) -> None:
    check(made(64, 48), Codec(syntax, 64, 48, 8, 8, signed=False))
    check(made(64, 48) + b"\0", Codec(syntax, 64, 48, 8, 8, signed=False))
    for rows, columns in ((48, 64), (64, 64), (65535, 48)):
        with pytest.raises(Unreadable, match="corrupt_pixels"):
            check(made(rows, columns), Codec(syntax, 64, 48, 8, 8, signed=False))


def test_run_lengths_have_no_size_of_their_own() -> None:
    check(b"", Codec(RLELossless, 64, 48, 8, 8, signed=False))


def test_missing_end() -> None:
    with pytest.raises(Unreadable, match="truncated"):
        check(jpeg(64, 48)[:-2], Codec(JPEGBaseline8Bit, 64, 48, 8, 8, signed=False))

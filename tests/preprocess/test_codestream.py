"""Size and end of compressed frames."""

from collections.abc import Callable
from struct import pack

import pytest
from pydicom.uid import JPEG2000, JPEGBaseline8Bit, RLELossless

from services.preprocess.codestream import check_codestream
from services.preprocess.errors import UnreadableFile
from services.preprocess.header import FrameFormat


def jpeg(rows: int, columns: int, components: int = 1) -> bytes:
    tables = b"\xff\xdb\x00\x04\x00\x00"
    return b"\xff\xd8" + tables + b"\xff\xc0" + pack(">HBHHB", 11, 8, rows, columns, components) + b"\xff\xd9"


def jpeg_2000(rows: int, columns: int) -> bytes:
    size = pack(">HH8LH", 41, 0, columns, rows, 0, 0, columns, rows, 0, 0, 1)
    return b"\xff\x4f\xff\x51" + size + b"\xff\xd9"


@pytest.mark.parametrize(("syntax", "made"), [(JPEGBaseline8Bit, jpeg), (JPEG2000, jpeg_2000)])
def test_the_size_must_match_the_header(syntax: str, made: Callable[[int, int], bytes]) -> None:
    check_codestream(made(64, 48), FrameFormat(syntax, 64, 48, 8, 8, signed=False))
    for padding in (b"\0", b"\xff", b"\0\0"):
        check_codestream(made(64, 48) + padding, FrameFormat(syntax, 64, 48, 8, 8, signed=False))
    for rows, columns in ((48, 64), (64, 64), (65535, 48)):
        with pytest.raises(UnreadableFile, match="corrupt_pixels"):
            check_codestream(made(rows, columns), FrameFormat(syntax, 64, 48, 8, 8, signed=False))


def test_run_lengths_have_no_size() -> None:
    check_codestream(b"", FrameFormat(RLELossless, 64, 48, 8, 8, signed=False))


def test_missing_end() -> None:
    with pytest.raises(UnreadableFile, match="truncated"):
        check_codestream(jpeg(64, 48)[:-2], FrameFormat(JPEGBaseline8Bit, 64, 48, 8, 8, signed=False))

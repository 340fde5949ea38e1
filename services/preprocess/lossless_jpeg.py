"""Decodes plain lossless JPEG (ITU-T T.81, process 14 with predictor 1) by libjpeg-turbo, and checks its length.

libjpeg-turbo takes a third of gdcm's time, and hides that the bytes are corrupt: it fills the picture with other
values. So the bits that the decoded pixels need are counted, and must fill the scan exactly.
"""

from collections.abc import Mapping
from functools import cache
from struct import unpack_from
from typing import Final, NamedTuple

import numpy as np
from imagecodecs import jpeg8_decode
from numpy.typing import NDArray

_START_OF_IMAGE: Final = b"\xff\xd8"
_END_OF_IMAGE: Final = b"\xff\xd9"
_PADDING: Final = b"\0\xff"
_FRAME, _TABLES, _SCAN = 0xC3, 0xC4, 0xDA  # markers, ITU-T T.81 table B.1
_IGNORED: Final = frozenset({*range(0xE0, 0xF0), 0xFE})  # APPn and COM
_CATEGORIES: Final = 17  # of differences (ITU-T T.81 table H.2)
_WIDEST: Final = 16  # its one difference, 32768, has no further bits
_IMPOSSIBLE: Final = 255


class _Scan(NamedTuple):
    """precision : bits of a pixel; code_bits : (17,) of each category's Huffman code; start : offset of the data."""

    precision: int
    code_bits: NDArray[np.uint8]
    start: int


def decode_lossless_jpeg(codestream: bytes, bits_stored: int) -> NDArray[np.unsignedinteger] | None:
    """Decode one frame of one component.

    Returns
    -------
    (rows, columns) uint8 or uint16; None where the codestream is of another kind, its pixels have neither `bits_stored`
    nor 16 bits, or its length is not that of the pixels

    Raises
    ------
    Exception
        of any kind: the codestream is corrupt
    """
    scan = _read_scan(codestream)
    data = codestream.rstrip(_PADDING)[scan.start : -len(_END_OF_IMAGE)] if scan else b""
    stuffed = data.count(b"\xff\0")
    if scan is None or scan.precision not in (bits_stored, 16) or data.count(b"\xff") != stuffed:
        return None
    pixels: NDArray[np.unsignedinteger] = jpeg8_decode(codestream)
    needed = -(-_count_bits(pixels, scan) // 8)
    return pixels if needed == len(data) - stuffed else None


def _read_scan(codestream: bytes) -> _Scan | None:
    """The segments before the data of the only scan; None for others than the plain ones."""
    segments: dict[int, tuple[int, int]] = {}
    at = len(_START_OF_IMAGE)
    while _SCAN not in segments:
        start, marker, length = unpack_from(">BBH", codestream, at)
        known = marker in _IGNORED or (marker in (_FRAME, _TABLES, _SCAN) and marker not in segments)
        if start != 0xFF or not known:  # noqa: PLR2004 - the first byte of every marker
            return None
        segments[marker] = at + 4, at + 2 + length
        at += 2 + length
    return _scan(codestream, segments) if {_FRAME, _TABLES} <= segments.keys() else None


def _scan(codestream: bytes, segments: Mapping[int, tuple[int, int]]) -> _Scan | None:
    precision, _, _, components = unpack_from(">BHHB", codestream, segments[_FRAME][0])
    scanned, _, _, predictor, _, point_transform = unpack_from(">6B", codestream, segments[_SCAN][0])
    if (components, scanned, predictor, point_transform) != (1, 1, 1, 0):
        return None
    first, last = segments[_TABLES]
    counts = codestream[first + 1 : first + 17]
    symbols = codestream[first + 17 : last]
    if sum(counts) != len(symbols) or max(symbols, default=_CATEGORIES) >= _CATEGORIES:  # one table only
        return None
    code_bits = np.zeros(_CATEGORIES, np.uint8)
    code_bits[list(symbols)] = np.repeat(np.arange(1, 17, dtype=np.uint8), list(counts))
    return _Scan(precision, code_bits, segments[_SCAN][1])


def _count_bits(pixels: NDArray[np.unsignedinteger], scan: _Scan) -> int:
    """The bits of the codes and of the differences (ITU-T T.81 H.1.2.1, H.1.2.2)."""
    values = pixels.astype(np.uint16, copy=False)
    differences = np.empty_like(values)
    np.subtract(values[:, 1:], values[:, :-1], out=differences[:, 1:])
    np.subtract(values[1:, 0], values[:-1, 0], out=differences[1:, 0])
    differences[0, 0] = int(values[0, 0]) - (1 << (scan.precision - 1)) & 0xFFFF
    further = np.arange(_CATEGORIES, dtype=np.uint8)
    further[_WIDEST] = 0
    bits = np.where(scan.code_bits > 0, scan.code_bits + further, np.uint8(_IMPOSSIBLE))
    taken = np.take(np.take(bits, _categories()), differences)
    return int(np.add.reduce(taken, axis=0, dtype=np.uint32).sum(dtype=np.int64))


@cache
def _categories() -> NDArray[np.uint8]:
    """(65536,) uint8: the category of each difference, modulo 65,536: the length of its magnitude in bits."""
    magnitudes = np.abs(np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int64))
    categories: NDArray[np.uint8] = np.ceil(np.log2(magnitudes + 1)).astype(np.uint8)
    return categories

"""Mutations that damage a file, drawn from a `Random`: the same seed causes the same damage."""

import re
import zlib
from collections.abc import Callable
from random import Random
from typing import Final

EDITS: Final = (1, 2, 4, 12)
_HEAD_BYTES: Final = 900  # headers; a third of all edits fall here
_NUMBERS: Final = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
# Bytes before a length: value representations, ends of PNG chunks, zip records, JPEG markers.
_LENGTHS: Final = re.compile(
    rb"(?:[\x00-\xff]{4})(?:AE|AS|AT|CS|DA|DS|IS|LO|SH|SL|SQ|SS|ST|TM|UI|UL|UN|US|OB|OW)"
    rb"|\xfe\xff\x00\xe0|\xff[\xc0-\xfe]|PK\x01\x02.{14}|PK\x03\x04.{12}|PK\x05\x06.{4}",
    re.DOTALL,
)
# Samples, frames, rows, columns, bits allocated, bits stored, high bit, representation; both byte orders.
_SHAPE: Final = re.compile(rb"\x28\x00[\x02\x08\x10\x11]\x00|\x28\x00[\x00-\x03]\x01|\x00\x28[\x00\x01][\x00-\x11]")
_SEQUENCE: Final = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
_SEQUENCE_ENDS: Final = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
_PNG: Final = b"\x89PNG\r\n\x1a\n"

Mutation = Callable[[bytearray, Random], None]


def mutate(file: bytes, random: Random) -> bytes:
    """A file with one or two mutations; half of the damaged PNGs get valid checksums."""
    damaged = bytearray(file)
    for mutation in random.choices(MUTATIONS, _WEIGHTS, k=random.choice((1, 1, 1, 2))):
        if damaged:
            mutation(damaged, random)
    return _with_checksums(bytes(damaged)) if damaged.startswith(_PNG) and random.random() < 0.5 else bytes(damaged)


def flip_bits(file: bytearray, random: Random) -> None:
    for _ in range(random.choice(EDITS)):
        file[_place(file, random)] ^= 1 << random.randrange(8)


def set_bytes(file: bytearray, random: Random) -> None:
    for _ in range(random.choice(EDITS)):
        file[_place(file, random)] = random.choice((0, 0x7F, 0x80, 0xFE, 0xFF, random.randrange(256)))


def cut(file: bytearray, random: Random) -> None:
    del file[_place(file, random) :]


def drop(file: bytearray, random: Random) -> None:
    at = _place(file, random)
    del file[at : at + random.choice((1, 2, 4, random.randint(1, 400)))]


def repeat(file: bytearray, random: Random) -> None:
    at = _place(file, random)
    file[at:at] = file[at : at + random.randint(1, 400)] * random.choice((1, 2, 20))


def corrupt_length(file: bytearray, random: Random) -> None:
    """Overwrite two or four bytes where a length is likely."""
    found = [match.end() for match in _LENGTHS.finditer(file)]
    at = random.choice(found) if found else _place(file, random)
    at += random.choice((0, 0, 2))
    _write(file, at, random)


def corrupt_shape(file: bytearray, random: Random) -> None:
    """Overwrite the value of an element that describes the pixels."""
    found = [match.start() + 8 for match in _SHAPE.finditer(file)]
    at = random.choice(found) if found else 16 + random.randrange(10)  # the IHDR of a PNG
    _write(file, at, random)


def nest(file: bytearray, random: Random) -> None:
    """Insert nested sequences before an element."""
    at = max(file.find(b"\x20\x00\x0d\x00"), 0) or _place(file, random)
    depth = random.choice((1, 50, 500, 3000))
    file[at:at] = _SEQUENCE * depth + random.choice((b"", _SEQUENCE_ENDS * depth))


MUTATIONS: Final[tuple[Mutation, ...]] = (
    flip_bits,
    set_bytes,
    cut,
    drop,
    repeat,
    corrupt_length,
    corrupt_shape,
    nest,
)
_WEIGHTS: Final = (5, 4, 1, 1, 1, 3, 3, 1)


def _place(file: bytearray, random: Random) -> int:
    return random.randrange(min(len(file), _HEAD_BYTES) if random.random() < 0.3 else len(file))


def _write(file: bytearray, at: int, random: Random) -> None:
    size = random.choice((2, 4))
    number = random.choice((*_NUMBERS, random.randrange(1 << 32))) & (1 << 8 * size) - 1
    file[at : at + size] = number.to_bytes(size, random.choice(("little", "big")))


def _with_checksums(png: bytes) -> bytes:
    """A PNG with valid checksums of all chunks that their lengths locate."""
    found, at = [png[:8]], 8
    while at + 12 <= len(png):
        end = at + 8 + int.from_bytes(png[at : at + 4])
        if end + 4 > len(png):
            break
        found += [png[at:end], zlib.crc32(png[at + 4 : end]).to_bytes(4)]
        at = end + 4
    return b"".join([*found, png[at:]])

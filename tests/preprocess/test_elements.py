"""The walk over elements, on bytes written by hand."""

import pytest

from services.preprocess.elements import PIXELS, Element, Encoding, Ended, Reader, TooManyElements

EXPLICIT = Encoding(explicit=True, little=True)
IMPLICIT = Encoding(explicit=False, little=True)
SHORT = b"\x28\x00\x10\x00US\x02\x00\x40\x00"
LONG = b"\x09\x00\x10\x00UN\x00\x00\x04\x00\x00\x00abcd"
PLAIN = b"\x28\x00\x10\x00\x02\x00\x00\x00\x40\x00"
PIXEL = b"\xe0\x7f\x10\x00OW\x00\x00\x10\x00\x00\x00"
ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
ITEM_END = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
SEQUENCE = b"\x08\x00\x15\x11SQ\x00\x00\xff\xff\xff\xff"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"


def walk(data: bytes, encoding: Encoding = EXPLICIT) -> list[Element]:
    return list(Reader(memoryview(data), encoding).elements(0, len(data)))


def test_short_and_long_lengths() -> None:
    assert walk(SHORT + LONG) == [
        Element(0x00280010, 8, 10, undefined=False),
        Element(0x00090010, 22, 26, undefined=False),
    ]


def test_implicit_vr_alone_and_inside_an_explicit_file() -> None:
    assert walk(PLAIN, IMPLICIT) == walk(PLAIN, EXPLICIT) == [Element(0x00280010, 8, 10, undefined=False)]


def test_big_endian() -> None:
    big = b"\x00\x28\x00\x10US\x00\x02\x00\x40"
    assert walk(big, Encoding(explicit=True, little=False)) == [Element(0x00280010, 8, 10, undefined=False)]


def test_walk_ends_at_the_pixels() -> None:
    *_, last = walk(SHORT + PIXEL + b"no pixels, no more elements")
    assert last.tag in PIXELS
    assert last.stop - last.start == 16


def test_sequence_of_undefined_length_is_stepped_over() -> None:
    inner = SEQUENCE + ITEM + LONG + ITEM_END + SEQUENCE_END
    data = SEQUENCE + ITEM + SHORT + inner + ITEM_END + ITEM + ITEM_END + SEQUENCE_END + SHORT
    sequence, after = walk(data)
    assert sequence.undefined
    assert after.stop == len(data)


def test_items() -> None:
    data = SEQUENCE + ITEM + SHORT + ITEM_END + b"\xfe\xff\x00\xe0\x10\x00\x00\x00" + LONG + SEQUENCE_END
    reader = Reader(memoryview(data), EXPLICIT)
    (sequence,) = reader.elements(0, len(data))
    assert [list(item) for item in reader.items(sequence)] == [[0x00280010], [0x00090010]]


def test_fragments() -> None:
    start, first = b"\xfe\xff\x00\xe0\x00\x00\x00\x00", b"\xfe\xff\x00\xe0\x04\x00\x00\x00abcd"
    data = b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff" + start + first + SEQUENCE_END
    reader = Reader(memoryview(data), EXPLICIT)
    (pixels,) = reader.elements(0, len(data))
    assert [bytes(fragment) for fragment in reader.fragments(pixels)] == [b"", b"abcd"]
    cut = Reader(memoryview(data[:-10]), EXPLICIT)
    with pytest.raises(Ended):
        list(cut.fragments(pixels))


@pytest.mark.parametrize("data", [SHORT[:4], SHORT[:9], LONG[:-1], SEQUENCE + ITEM + SHORT, SEQUENCE + ITEM + ITEM_END])
def test_bytes_that_end_too_early(data: bytes) -> None:
    with pytest.raises(Ended):
        walk(data)


def test_all_walks_together_are_counted() -> None:
    data = SHORT * 6
    reader = Reader(memoryview(data), EXPLICIT, left=10)
    assert len(list(reader.elements(0, len(data)))) == 6
    with pytest.raises(TooManyElements):
        list(reader.elements(0, len(data)))

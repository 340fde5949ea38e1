"""Values of data sets: as pydicom converts them, absent, or unreadable."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from services.preprocess.element_values import (
    binary,
    integer,
    number,
    numbers,
    readable_number,
    text,
    texts,
    unsigned_short,
)
from services.preprocess.errors import UnreadableFile


def raw(keyword: str, vr: str | None, value: bytes | None) -> Dataset:
    """A data set as read from a file: values are converted on access."""
    tag = Tag(keyword)
    implicit = vr is None
    return Dataset({tag: RawDataElement(tag, vr, len(value or b""), value, 0, implicit, is_little_endian=True)})


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"HEAD", ("HEAD",)),
        (b"HEAD \0", ("HEAD",)),
        (b"A\\ B", ("A", "B")),
        (b"A\\", ("A", "")),
        (b"", ("",)),
        (None, ("",)),
        (b"\xff", ("\xff",)),
    ],
)
def test_texts(value: bytes | None, found: tuple[str, ...]) -> None:
    dataset = raw("ImageType", "CS", value)
    assert texts(dataset, "ImageType") == found
    assert text(dataset, "ImageType") == found[0]


def unreadable_tag(read: Any, *arguments: Any) -> str | None:
    with pytest.raises(UnreadableFile) as caught:
        read(*arguments)
    assert caught.value.code == "unreadable_tag"
    return caught.value.tag


@pytest.mark.parametrize("vr", ["DS", "LO", None])
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"0.5\\0.25", (0.5, 0.25)),
        (b" 1\\2 ", (1, 2)),
        (b"1e1\\-2", (10, -2)),
        (b"0,488\\0,488 ", (0.488, 0.488)),
        (b"1.0\0\\1.0\0", (1, 1)),
        (b"", None),
        (b" \0", None),
        (b"\\", None),
        (None, None),
    ],
)
def test_numbers(vr: str | None, value: bytes | None, found: tuple[float, ...] | None) -> None:
    assert numbers(raw("PixelSpacing", vr, value), "PixelSpacing", 2) == found


UNREADABLE = [
    *(
        b"1",
        b"1\\",
        b"1\\2\\3",
        b"1\\x",
        b"1\\nan",
        b"1\\inf",
        b"-inf\\1",
        b"1\\1e999",
        b"1e307\\1",
        b"1_0\\1",
        b"1/2\\1",
    ),
    *(b"1,000.5\\1", b"1,0,0\\1", b"0x1\\1", b"\xff\\1", b"1 2\\1", b"0.5 mm\\0.5 mm"),
]


@pytest.mark.parametrize("vr", ["DS", "LO", None])
@pytest.mark.parametrize("value", UNREADABLE)
def test_an_unreadable_value_names_its_tag(vr: str | None, value: bytes) -> None:
    assert unreadable_tag(numbers, raw("PixelSpacing", vr, value), "PixelSpacing", 2) == "PixelSpacing"


@pytest.mark.parametrize("value", [b"5", b"-5 ", b"+5\0", b"5.0"])
def test_whole_numbers(value: bytes) -> None:
    assert abs(integer(raw("InstanceNumber", "IS", value), "InstanceNumber") or 0) == 5


@pytest.mark.parametrize("value", [b"1.5", b"one", b"9" * 400, b"1e400", b"nan", b"\xff", b"1\\2"])
def test_numbers_that_are_not_whole(value: bytes) -> None:
    assert unreadable_tag(integer, raw("InstanceNumber", "IS", value), "InstanceNumber") == "InstanceNumber"


def test_numbers_that_pydicom_reads() -> None:
    """Binary numbers, and numbers of data sets made in memory."""
    assert number(raw("RescaleSlope", "FD", b"\0\0\0\0\0\0\xf0\x3f"), "RescaleSlope") == 1
    for vr, value in (("FD", b"\0\0\0\0\0\0\xf0\x7f"), ("FD", b"\1\2"), ("QQ", b"1 ")):
        assert unreadable_tag(number, raw("RescaleSlope", vr, value), "RescaleSlope") == "RescaleSlope"
    made = Dataset()
    made.RescaleSlope = "0.5"
    assert number(made, "RescaleSlope") == 0.5


def test_an_unimportant_tag_may_be_unreadable() -> None:
    assert readable_number(raw("KVP", "DS", b"12O"), "KVP") is None
    assert readable_number(raw("KVP", "DS", b"120"), "KVP") == 120


@pytest.mark.parametrize(
    ("vr", "value", "found"),
    [
        ("US", b"\x40\x00", 64),
        (None, b"\x40\x00", 64),
        ("SS", b"\x30\xf8", 63536),
        ("UN", b"\x40\x00", 64),
        ("UL", b"\x40\x00\x00\x00", 64),
        ("US", b"", None),
        ("LO", b"", None),
    ],
)
def test_short(vr: str | None, value: bytes, found: int | None) -> None:
    assert unsigned_short(raw("Rows", vr, value), "Rows") == found


@pytest.mark.parametrize(
    ("vr", "value"),
    [("US", b"\x40\x00\x50\x00"), ("US", b"\x40"), ("LO", b"64"), ("QQ", b"\x40\x00"), ("UL", b"\x40\x00\x01\x00")],
)
def test_values_that_are_no_shorts(vr: str, value: bytes) -> None:
    assert unreadable_tag(unsigned_short, raw("Rows", vr, value), "Rows") == "Rows"


def test_padding_is_a_bit_pattern_of_either_sign() -> None:
    """Without a VR, pydicom takes the sign from PixelRepresentation."""
    dataset = raw("PixelPaddingValue", None, b"\x30\xf8")
    assert unsigned_short(dataset, "PixelPaddingValue") == 63536
    dataset = raw("PixelPaddingValue", None, b"\x30\xf8")
    dataset.PixelRepresentation = 1
    assert unsigned_short(dataset, "PixelPaddingValue") == 63536


def test_binary() -> None:
    assert binary(raw("ExtendedOffsetTable", "OV", bytes(8)), "ExtendedOffsetTable") == bytes(8)
    assert binary(raw("ExtendedOffsetTable", "LO", b"text"), "ExtendedOffsetTable") == b""


@pytest.mark.parametrize("read", [text, number, unsigned_short, binary])
def test_absent(read: Any) -> None:
    assert not read(Dataset(), "Modality")
    dataset = Dataset()
    dataset.ContrastBolusAgentSequence = [Dataset()]
    if read in (text, binary):
        assert not read(dataset, "ContrastBolusAgentSequence")
    else:
        assert unreadable_tag(read, dataset, "ContrastBolusAgentSequence") == "ContrastBolusAgentSequence"


@settings(deadline=None)
@given(
    known=st.sampled_from(
        [("KVP", "DS"), ("ImageType", "CS"), ("SeriesInstanceUID", "UI"), ("ConvolutionKernel", "SH")]
    ),
    value=st.text("12.-+\\\\ Aeï", max_size=8),
    explicit=st.booleans(),
)
@example(known=("ImageType", "CS"), value="A\0", explicit=False)
def test_values_agree_with_pydicom(known: tuple[str, str], value: str, *, explicit: bool) -> None:
    keyword, vr = known
    here, there = (raw(keyword, vr if explicit else None, value.encode("latin-1")) for _ in range(2))
    with config.disable_value_validation(), suppress(Exception):
        there[keyword]  # pydicom converts values on access
    assert readable_number(here, keyword) == readable_number(there, keyword)
    if vr != "DS":  # numbers are never read as text
        assert texts(here, keyword) == texts(there, keyword)

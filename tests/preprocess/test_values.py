"""Values as pydicom makes them, and what counts as absent."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from services.preprocess.values import binary, number, numbers, short, text, texts


def raw(keyword: str, vr: str | None, value: bytes | None) -> Dataset:
    """A data set as it is read: values are converted when they are asked for."""
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


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"0.5\\0.25", (0.5, 0.25)),
        (b" 1\\2\\3 ", (1, 2)),
        (b"1e1\\-2", (10, -2)),
        (b"1", None),
        (b"1\\", None),
        (b"1\\x", None),
        (b"1\\nan", None),
        (b"1\\1e999", None),
        (b"", None),
        (None, None),
    ],
)
def test_numbers(value: bytes | None, found: tuple[float, ...] | None) -> None:
    assert numbers(raw("PixelSpacing", "DS", value), "PixelSpacing", 2) == found


@pytest.mark.parametrize("value", [b"1.5", b"one", b"9" * 400, b"\xff", b""])
def test_whole_numbers_that_are_none(value: bytes) -> None:
    assert number(raw("InstanceNumber", "IS", value), "InstanceNumber") is None


@pytest.mark.parametrize(
    ("vr", "value", "found"),
    [
        ("US", b"\x40\x00", 64),
        (None, b"\x40\x00", 64),
        ("SS", b"\x30\xf8", 63536),
        ("UN", b"\x40\x00", 64),
        ("US", b"\x40\x00\x50\x00", 64),
        ("US", b"\x40", None),
        ("US", b"", None),
        ("LO", b"64", None),
        ("QQ", b"\x40\x00", None),
    ],
)
def test_short(vr: str | None, value: bytes, found: int | None) -> None:
    assert short(raw("Rows", vr, value), "Rows") == found


def test_padding_is_a_pattern_of_bits_whatever_its_sign() -> None:
    """Without a VR, pydicom asks PixelRepresentation whether the value is signed."""
    dataset = raw("PixelPaddingValue", None, b"\x30\xf8")
    assert short(dataset, "PixelPaddingValue") == 63536
    dataset = raw("PixelPaddingValue", None, b"\x30\xf8")
    dataset.PixelRepresentation = 1
    assert short(dataset, "PixelPaddingValue") == 63536


def test_binary() -> None:
    assert binary(raw("ExtendedOffsetTable", "OV", bytes(8)), "ExtendedOffsetTable") == bytes(8)
    assert binary(raw("ExtendedOffsetTable", "LO", b"text"), "ExtendedOffsetTable") == b""


@pytest.mark.parametrize("read", [text, number, short, binary])
def test_absent(read: Any) -> None:
    assert not read(Dataset(), "Modality")
    dataset = Dataset()
    dataset.ContrastBolusAgentSequence = [Dataset()]
    assert not read(dataset, "ContrastBolusAgentSequence")


@settings(deadline=None)
@given(
    known=st.sampled_from(
        [("KVP", "DS"), ("ImageType", "CS"), ("SeriesInstanceUID", "UI"), ("ConvolutionKernel", "SH")]
    ),
    value=st.text("12.-+\\\\ Aeï", max_size=8),
    explicit=st.booleans(),
)
@example(known=("KVP", "DS"), value="1_0", explicit=True)
@example(known=("ImageType", "CS"), value="A\0", explicit=False)
def test_values_read_here_are_those_of_pydicom(known: tuple[str, str], value: str, *, explicit: bool) -> None:
    keyword, vr = known
    here, there = (raw(keyword, vr if explicit else None, value.encode("latin-1")) for _ in range(2))
    with config.disable_value_validation(), suppress(Exception):
        there[keyword]  # pydicom converts what is asked for, for good
    assert short(here, keyword) == short(there, keyword)
    assert number(here, keyword) == number(there, keyword)
    if vr != "DS":  # nobody asks for the words of a number
        assert texts(here, keyword) == texts(there, keyword)

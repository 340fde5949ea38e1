"""Every storage of a slice gives the same Hounsfield units; every broken file gives a code."""

from contextlib import suppress
from functools import lru_cache
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import (
    HTJ2K,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from services.preprocess.dicom_file import decode_frame, open_dicom
from services.preprocess.errors import IncompleteHeader, UnreadableFile
from services.preprocess.header_reader import read_header
from tests.preprocess.dicom_files import (
    COMPRESSED,
    NATIVE,
    ct,
    dataset,
    encapsulated,
    enhanced,
    head_hu,
    signed,
    without_preamble,
    written,
)

# Written by OpenJPH, because no decoder here encodes it: 16 x 16 values, 1000 + 16 * column + row * row.
HIGH_THROUGHPUT = bytes.fromhex(
    "ff4fff5100294000000000100000001000000000000000000000001000000010000000000000000000010f0101ff50000800020000000aff"
    "52000c00020001000504044001ff5c00132088909090909090909090909090888888ff64001700014f70656e4a50482056657220302e3236"
    "2e332eff90000a0000000000920001ff93c0002655f70507740000c00012c00012802201877400b601077400c000134000150010c8010274"
    "001fdf87ef0086b400c00015100005a2866118aa70827500ff7f3fe8833ee883fe4000000c7a31b800c0002b20001742eeeeeeeee7c0a7a7"
    "a7c27800ff7fff7fff7f0f38e080030e38e08003fe0000008200000c7006801a2a54adb001ffd9"
)


def codestream(syntax: str) -> bytes:
    return next(generate_frames(dcmread(BytesIO(ct(syntax))).PixelData, number_of_frames=1))


def fragmented(found: Dataset, syntax: str = JPEGLSLossless) -> bytes:
    found["PixelData"].VR = "OB"
    found["PixelData"].is_undefined_length = True
    return written(found, syntax)


def code_of(file: bytes, frame: int = 0) -> str:
    with pytest.raises(UnreadableFile) as caught:
        decode_frame(file, frame)
    assert str(caught.value) == caught.value.code
    return caught.value.code


@pytest.mark.parametrize("syntax", [*NATIVE, *COMPRESSED])
def test_every_syntax_gives_the_same_hounsfield_units(syntax: str) -> None:
    image = decode_frame(ct(syntax), 0)
    assert image.hu.dtype == np.int16
    assert (image.hu == head_hu()).all()
    assert image.compressed == (syntax in COMPRESSED)
    assert (image.row_spacing_mm, image.column_spacing_mm) == (4, 4)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless, JPEGLosslessSV1])
def test_signed_values_survive_compression(syntax: str) -> None:
    found = signed()
    file = ct(syntax, **{element.keyword: element.value for element in found})
    assert (decode_frame(file, 0).hu == head_hu()).all()


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_high_throughput_jpeg_2000(syntax: str) -> None:
    rows, columns = np.mgrid[:16, :16]
    file = encapsulated(dataset(Rows=16, Columns=16), syntax, [HIGH_THROUGHPUT])
    assert (decode_frame(file, 0).hu == columns * 16 + rows**2 + 1000 - 1024).all()


def test_a_compressed_picture_may_be_oblong() -> None:
    for syntax in COMPRESSED:
        assert (decode_frame(ct(syntax, Rows=40, Columns=56), 0).hu == head_hu(40, 56)).all()


def test_file_without_preamble() -> None:
    file = without_preamble(written(dataset(), NATIVE[0]))
    assert (decode_frame(file, 0).hu == head_hu()).all()


def test_eight_bits() -> None:
    levels = (np.arange(4096) % 256).astype(np.uint8)
    rescale = {"RescaleIntercept": -100, "RescaleSlope": 2}
    file = written(dataset(PixelData=levels.tobytes(), BitsAllocated=8, BitsStored=8, HighBit=7, **rescale))
    hu = decode_frame(file, 0).hu
    assert (hu == levels.reshape(64, 64) * 2.0 - 100).all()


def test_missing_rescale_leaves_the_stored_values() -> None:
    file = written(signed(RescaleIntercept=None, RescaleSlope=None))
    assert (decode_frame(file, 0).hu == head_hu()).all()


def test_multi_valued_rescale_takes_the_first() -> None:
    file = ct().replace(b"DS\x06\x00-1024 ", b"DS\x08\x00-1024\\-1")
    assert (decode_frame(file, 0).hu == head_hu()).all()


def test_inverted_monochrome1_is_corrected() -> None:
    stored = np.frombuffer(dataset().PixelData, "<u2")
    file = ct(PhotometricInterpretation="MONOCHROME1", PixelData=(4095 - stored).tobytes())
    assert (decode_frame(file, 0).hu == head_hu()).all()


def test_standard_monochrome1_is_unchanged() -> None:
    assert (decode_frame(ct(PhotometricInterpretation="MONOCHROME1"), 0).hu == head_hu()).all()


def test_a_faulty_intercept_is_repaired_and_noted() -> None:
    """The fault of RSNA files: values lost 1000 and wrapped around at 4096, and the intercept was dropped."""
    hu = np.maximum(head_hu(), -1000).astype(int)
    stored = (hu % 4096).astype("<u2")
    image = decode_frame(ct(PixelData=stored.tobytes(), RescaleIntercept=0), 0)
    assert image.notes == ("intercept_repaired",)
    assert (image.hu == hu).all()


def test_enhanced_frames_have_their_own_rescale() -> None:
    dicom = open_dicom(written(enhanced()))
    for frame in range(3):
        image = dicom.decode(frame)
        assert (image.hu == head_hu().astype(int) * (frame + 1)).all()
        assert image.row_spacing_mm == 4


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_compressed_frames(syntax: str) -> None:
    """One fragment per frame, found without an offset table."""
    dicom = open_dicom(encapsulated(enhanced(2), syntax, [codestream(syntax)] * 2))
    assert (dicom.decode(1).hu == head_hu().astype(int) * 2).all()


def test_compressed_frame_in_several_fragments() -> None:
    found = dataset()
    found.PixelData = encapsulate([codestream(JPEGLSLossless)], fragments_per_frame=4)
    assert (decode_frame(fragmented(found), 0).hu == head_hu()).all()


@pytest.mark.parametrize("has_bot", [True, False])
def test_compressed_frames_in_several_fragments(has_bot: bool) -> None:  # noqa: FBT001 - parametrised
    """Without an offset table, the ends of the code streams separate the frames."""
    found = enhanced(3)
    found.PixelData = encapsulate([codestream(JPEGLSLossless)] * 3, fragments_per_frame=3, has_bot=has_bot)
    dicom = open_dicom(fragmented(found))
    for frame in (2, 0, 1):
        assert (dicom.decode(frame).hu == head_hu().astype(int) * (frame + 1)).all()


def test_compressed_frames_by_an_extended_offset_table() -> None:
    found = enhanced(3)
    pixels, found.ExtendedOffsetTable, found.ExtendedOffsetTableLengths = encapsulate_extended(
        [codestream(JPEGLSLossless)] * 3
    )
    found.PixelData = pixels
    dicom = open_dicom(fragmented(found))
    assert dicom.header.extended_offsets == (found.ExtendedOffsetTable, found.ExtendedOffsetTableLengths)
    for frame in (2, 0, 1):
        assert (dicom.decode(frame).hu == head_hu().astype(int) * (frame + 1)).all()


def test_inseparable_fragments() -> None:
    found = enhanced(2)
    found.PixelData = encapsulate([codestream(RLELossless)[:3000]], fragments_per_frame=3, has_bot=False)
    assert code_of(fragmented(found, RLELossless), frame=1) == "corrupt_pixels"


def test_a_frame_beyond_the_last() -> None:
    assert code_of(ct(), frame=1) == "truncated"
    assert code_of(ct(), frame=-1) == "truncated"


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_a_truncated_compressed_file(syntax: str) -> None:
    assert code_of(ct(syntax)[:-400]) == "truncated"


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1])
def test_a_frame_truncated_in_its_fragment(syntax: str) -> None:
    """A decoder might fill the rest with zeros, without an error."""
    assert code_of(encapsulated(dataset(), syntax, [codestream(syntax)[:-200]])) == "truncated"


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_empty_frame(syntax: str) -> None:
    assert code_of(encapsulated(dataset(), syntax, [bytes(2)])) in ("truncated", "corrupt_pixels")


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_false_dimensions(syntax: str) -> None:
    """The code stream states 64 x 64: nothing is allocated for the header's size."""
    found = dataset()
    found.Rows = found.Columns = 4096
    assert code_of(encapsulated(found, syntax, [codestream(syntax)])) == "corrupt_pixels"


def test_run_length_bomb() -> None:
    """A few hundred bytes that state 16384 x 16384."""
    found = dataset()
    found.Rows = found.Columns = 16384
    file = encapsulated(found, RLELossless, [bytes(64)])
    assert len(file) < 1200
    assert code_of(file) == "too_large"


def test_a_colour_jpeg_with_a_greyscale_header() -> None:
    start_of_frame = b"\xff\xc0\x00\x11\x08\x00\x40\x00\x40\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    jpeg = b"\xff\xd8" + start_of_frame + b"\xff\xd9\0"
    assert code_of(encapsulated(dataset(), JPEGBaseline8Bit, [jpeg])) == "corrupt_pixels"


def test_native_pixels_may_have_any_alignment() -> None:
    file = ct()
    shifted = memoryview(b"x" + file)[1:]
    assert (decode_frame(shifted, 0).hu == head_hu()).all()


def test_buffers_of_all_kinds() -> None:
    file = ct()
    for buffer in (file, bytearray(file), memoryview(file)):
        assert (decode_frame(buffer, 0).hu == head_hu()).all()


@lru_cache
def _valid(syntax: str) -> bytes:
    return ct(syntax)


# gdcm may abort the process on a corrupt JPEG; test_decoder_processes covers it.
@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless, JPEGLSLossless, JPEG2000Lossless])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_mutated_files_raise_nothing_but_codes(syntax: str, data: st.DataObject) -> None:
    file = bytearray(_valid(syntax))
    places = st.integers(0, 900) | st.integers(0, len(file) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=12)):
        file[place] = byte
    if data.draw(st.booleans()):
        del file[data.draw(places) :]
    with suppress(UnreadableFile):
        decode_frame(file, 0)
    with suppress(UnreadableFile, IncompleteHeader):
        read_header(file[:500], len(file))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_raise_nothing_but_codes(noise: bytes, preamble: bool) -> None:  # noqa: FBT001 - drawn
    file = bytes(128) + b"DICM" + noise if preamble else noise
    assert code_of(file)

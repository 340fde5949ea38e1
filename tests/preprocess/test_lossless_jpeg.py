"""libjpeg-turbo decodes what gdcm decodes; corrupt bytes are left to gdcm."""

from io import BytesIO
from random import Random
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import get_frame

from services.preprocess.lossless_jpeg import decode_lossless_jpeg
from tests.preprocess.dicom_files import dataset, head_hu, signed, written
from tests.preprocess.gdcm_files import read_by_gdcm, recompressed

BITS = (2, 8, 9, 12, 15, 16)


def values(bits: int) -> NDArray[Any]:
    """Noise beside a head, with differences of every length."""
    noise = np.random.default_rng(bits).integers(0, 1 << bits, (64, 64))
    noise[:, :32] = (head_hu()[:, :32].astype(int) + 1024) & (1 << bits) - 1
    noise[1, :2] = 0, 1 << bits - 1
    return noise.astype(np.uint8 if bits <= 8 else np.uint16)


def encoded(pixels: NDArray[Any], **options: Any) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(pixels, lossless=True, **{"predictor": 1, **options}))


@pytest.mark.parametrize("bits", BITS)
def test_decodes_every_precision(bits: int) -> None:
    found = decode_lossless_jpeg(encoded(values(bits), bitspersample=bits), bits)
    assert found is not None
    assert (found == values(bits)).all()


@pytest.mark.parametrize("found", [dataset(), signed(BitsStored=16, HighBit=15)])
@pytest.mark.parametrize("syntax", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1"])
def test_agrees_with_gdcm_on_its_own_files(found: Any, syntax: str) -> None:
    packed = pydicom.dcmread(BytesIO(recompressed(written(found), syntax)))
    pixels = decode_lossless_jpeg(get_frame(packed.PixelData, 0, number_of_frames=1), packed.BitsStored)
    assert pixels is not None
    assert (pixels == read_by_gdcm(found)[0].view(np.uint16)).all()


def test_other_kinds_are_left_to_gdcm() -> None:
    pixels = values(12)
    plain = encoded(pixels, bitspersample=12)
    scan = plain.index(b"\xff\xda")
    restarts = plain[:scan] + b"\xff\xdd\x00\x04\x00\x40" + plain[scan:]
    others = [encoded(pixels, predictor=number, bitspersample=12) for number in range(2, 8)]
    for codestream in (*others, restarts, bytes(imagecodecs.jpeg8_encode(values(8)))):
        assert decode_lossless_jpeg(codestream, 12) is None
    assert decode_lossless_jpeg(plain, 10) is None


def test_corrupt_bytes_are_detected_where_they_change_the_length() -> None:
    """libjpeg-turbo fills the picture without an error."""
    random = Random(5)  # noqa: S311 - the same bytes in each run
    plain = encoded(values(12), bitspersample=12)
    data = plain.index(b"\xff\xda") + 10
    detected = 0
    for _ in range(30):
        at = random.randrange(data, len(plain) - 100)
        garbage = random.randbytes(60).replace(b"\xff", b"\xfe")
        for corrupt in (plain[:at] + garbage + plain[at + 60 :], plain[:at] + plain[at + 60 :]):
            assert imagecodecs.jpeg8_decode(corrupt).shape == (64, 64)
            detected += decode_lossless_jpeg(corrupt, 12) is None
    assert detected > 50  # of 60: other codes may have the same length


def test_the_scan_may_end_in_padding() -> None:
    plain = encoded(values(12), bitspersample=12)
    assert decode_lossless_jpeg(plain + b"\0", 12) is not None

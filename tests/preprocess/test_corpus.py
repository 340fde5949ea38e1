"""Every file at hand is decoded right, by another decoder's word, or refused with a reason."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from openjpeg.utils import encode_array
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from services.common.acceptance import CORRUPT_FILES, FOREIGN_FILES
from services.preprocess.header import SUPPORTED
from tests.preprocess.corpus import Entry, Fate, as_ct, files_under, judge, relabelled, table
from tests.preprocess.dicom_files import (
    COMPRESSED,
    NATIVE,
    ct,
    dataset,
    deflated,
    encapsulated,
    head_hu,
    signed,
    written,
)
from tests.preprocess.gdcm_files import EIGHT_BITS, LOSSLESS, LOSSY, eight_bits, gdcm_ct, recompressed
from tests.preprocess.imagecodecs_files import LOSSLESS as BY_IMAGECODECS
from tests.preprocess.imagecodecs_files import TWELVE_BITS, imagecodecs_ct
from tests.preprocess.test_dicom import HIGH_THROUGHPUT

NEAR_LOSSLESS_HU = 2  # asked of the encoder
BASELINE_HU = 16  # two of the 256 levels, of 8 HU each
TWELVE_BITS_HU = 8  # at a quality of 95, on edges of 2,000
WAVELETS_HU = 15  # at a third of the size, on noise of 4 HU around edges of 2,000
IN_THE_WHEEL = Path(pydicom.data.__file__).parent


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """pydicom and Pillow warn of the odd files that this corpus is made of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def near_lossless() -> bytes:
    found = dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.compress(JPEGLSNearLossless, generate_instance_uid=False, jls_error=NEAR_LOSSLESS_HU)
    return written(found, JPEGLSNearLossless)


def wavelets() -> bytes:
    found = dataset()
    stored = np.frombuffer(found.PixelData, "<u2").reshape(found.Rows, found.Columns)
    return encapsulated(found, JPEG2000, [encode_array(stored, bits_stored=12, compression_ratios=[3])])


def generated() -> list[Entry]:
    """One slice, its values known, in all syntaxes and by all writers."""
    hu = head_hu()
    ours = [Entry(f"ours {syntax}", ct(syntax), hu) for syntax in (*NATIVE, *COMPRESSED)]
    native = [Entry(f"signed {syntax}", written(signed(), syntax), hu) for syntax in NATIVE]
    by_gdcm = [Entry(f"gdcm {name}", gdcm_ct(name), hu) for name in (*LOSSLESS, *LOSSY)]
    of_signed = [Entry(f"gdcm, signed {name}", recompressed(written(signed()), name), hu) for name in LOSSLESS]
    by_imagecodecs = [
        Entry(f"imagecodecs {name}, {bits.BitsStored} bits", imagecodecs_ct(bits, syntax, encode), hu)
        for syntax, name, encode in BY_IMAGECODECS
        for bits in (dataset(), dataset(BitsStored=16, HighBit=15))
    ]
    known = [*ours, *native, *by_gdcm, *of_signed, *by_imagecodecs, *_lossy(), *_high_throughput()]
    # Each lossless file once more, now against another decoder in place of what is known of its pixels.
    again = [Entry(f"{entry.name}, read twice", entry.data) for entry in (*ours, *by_gdcm, *by_imagecodecs)]
    return [*known, *again, Entry("deflated", deflated())]


def _lossy() -> list[Entry]:
    """Within an error of the original, and as another decoder reads them."""
    levels = np.frombuffer(eight_bits().PixelData, np.uint8).reshape(64, 64).astype(np.int16) * 8 - 1024
    jpegs = [(name, gdcm_ct(name), levels, BASELINE_HU) for name in EIGHT_BITS]
    near = ("near lossless", near_lossless(), head_hu(), NEAR_LOSSLESS_HU)
    twelve = imagecodecs_ct(dataset(), JPEGExtended12Bit, TWELVE_BITS)
    made = [
        *jpegs,
        near,
        ("wavelets", wavelets(), head_hu(), WAVELETS_HU),
        ("12 bits", twelve, head_hu(), TWELVE_BITS_HU),
    ]
    return [*(Entry(*entry) for entry in made), *(Entry(f"{name}, read twice", data) for name, data, _, _ in made)]


def _high_throughput() -> list[Entry]:
    """Written by OpenJPH."""
    rows, columns = np.mgrid[:16, :16]
    hu = (columns * 16 + rows**2 + 1000 - 1024).astype(np.int16)
    syntaxes = (HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL)
    return [Entry(name, encapsulated(dataset(Rows=16, Columns=16), name, [HIGH_THROUGHPUT]), hu) for name in syntaxes]


def faults(fates: list[Fate]) -> list[Fate]:
    return [fate for fate in fates if fate.kind in ("wrong", "unproven")]


def test_generated_files() -> None:
    fates = judge(generated())
    print(table(fates))
    assert faults(fates) == []
    assert [fate.entry for fate in fates if fate.kind == "refused"] == ["deflated"]
    right = {fate.syntax for fate in fates if fate.kind == "right"}
    assert {syntax.name for syntax in SUPPORTED} - right == set()


def test_files_in_pydicoms_wheel() -> None:
    files = files_under(IN_THE_WHEEL)
    assert len(files) > 150
    fates = judge([*files, *relabelled(files)])
    print(table(fates))
    assert faults(fates) == []
    assert {fate.code for fate in fates if fate.kind == "refused"} <= {*FOREIGN_FILES, *CORRUPT_FILES}
    assert sum(fate.kind == "right" for fate in fates) > 60


def test_a_wrong_file_would_be_told() -> None:
    off_by_one = Entry("off", ct(), head_hu() + 1)
    empty = Entry("empty", ct(PixelData=bytes(64 * 64 * 2)), head_hu())
    fates = judge([off_by_one, empty, Entry("sound", ct(JPEG2000Lossless))])
    assert [fate.kind for fate in fates] == ["wrong", "wrong", "right"]
    assert "wrong off 1 HU" in table(fates)


def test_only_grey_images_become_ct() -> None:
    assert as_ct(b"text") is None
    assert as_ct(ct(PhotometricInterpretation="RGB", SamplesPerPixel=3)) is None
    assert as_ct(ct(PhotometricInterpretation="MONOCHROME1")) is None
    assert as_ct(ct(Modality="MR")) is not None

"""One slice of known values, in every syntax and by every writer among the test packages."""

import numpy as np
from openjpeg.utils import encode_array
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from tests.preprocess.dicom_files import (
    COMPRESSED,
    NATIVE,
    Entry,
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
from tests.preprocess.test_dicom_file import HIGH_THROUGHPUT

NEAR_LOSSLESS_HU = 2  # the encoder's limit
BASELINE_HU = 16  # two of the 256 levels, of 8 HU each
TWELVE_BITS_HU = 8  # at a quality of 95, on edges of 2,000
WAVELETS_HU = 15  # at a third of the size, on noise of 4 HU around edges of 2,000


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
    """The slice in all syntaxes, by all writers."""
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
    # Each lossless file again, checked by another decoder instead of the known values.
    again = [Entry(f"{entry.name}, read twice", entry.data) for entry in (*ours, *by_gdcm, *by_imagecodecs)]
    return [*known, *again, Entry("deflated", deflated())]


def _lossy() -> list[Entry]:
    """Lossy files: within a tolerance of the original, and checked by another decoder."""
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

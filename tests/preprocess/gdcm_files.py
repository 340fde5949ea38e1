"""Files that gdcm writes, so that what reads them is not what wrote them."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gdcm
import numpy as np
from pydicom.dataset import Dataset

from tests.preprocess.dicom_files import dataset, head_hu, written

# By gdcm's names; every compressed syntax of CT that it writes.
LOSSLESS = (
    "RLELossless",
    "JPEGLosslessProcess14",
    "JPEGLosslessProcess14_1",
    "JPEGLSLossless",
    "JPEG2000Lossless",
)
LOSSY = ("JPEGLSNearLossless", "JPEG2000")  # as gdcm writes them, without loss
EIGHT_BITS = ("JPEGBaselineProcess1", "JPEGExtendedProcess2_4")


def recompressed(file: bytes, syntax: str) -> bytes:
    """The same image in another transfer syntax."""
    with TemporaryDirectory() as folder:
        native, packed = Path(folder, "native.dcm"), Path(folder, "packed.dcm")
        native.write_bytes(file)
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(native))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(packed))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return packed.read_bytes()


def eight_bits(**changes: Any) -> Dataset:
    """The slice in steps of 8 HU, as 8-bit JPEG holds it."""
    levels = np.clip((head_hu().astype(int) + 1024) // 8, 0, 255).astype(np.uint8)
    stored = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "RescaleSlope": 8, "PixelData": levels.tobytes()}
    return dataset(**{**stored, **changes})


def gdcm_ct(syntax: str) -> bytes:
    """A slice, written by gdcm."""
    return recompressed(written(eight_bits() if syntax in EIGHT_BITS else dataset()), syntax)

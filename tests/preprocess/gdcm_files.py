"""Files written by gdcm: another implementation than the reader."""

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gdcm
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tests.preprocess.dicom_files import dataset, head_hu, written

# gdcm's names of every compressed syntax that it writes for CT.
LOSSLESS = (
    "RLELossless",
    "JPEGLosslessProcess14",
    "JPEGLosslessProcess14_1",
    "JPEGLSLossless",
    "JPEG2000Lossless",
)
LOSSY = ("JPEGLSNearLossless", "JPEG2000")  # gdcm writes them without loss
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
    """The slice in steps of 8 HU, for 8-bit JPEG."""
    levels = np.clip((head_hu().astype(int) + 1024) // 8, 0, 255).astype(np.uint8)
    stored = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "RescaleSlope": 8, "PixelData": levels.tobytes()}
    return dataset(**{**stored, **changes})


def gdcm_ct(syntax: str) -> bytes:
    """A slice, written by gdcm."""
    return recompressed(written(eight_bits() if syntax in EIGHT_BITS else dataset()), syntax)


def read_by_gdcm(found: Dataset) -> NDArray[np.integer]:
    """(frames, rows, columns) stored values of a greyscale image, read by gdcm."""
    file = BytesIO()
    pydicom.dcmwrite(file, found)
    with TemporaryDirectory() as folder:
        path = Path(folder, "file.dcm")
        path.write_bytes(file.getvalue())
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read()
        pixels = reader.GetImage().GetBuffer().encode("utf-8", errors="surrogateescape")
    kind = f"<{'i' if found.PixelRepresentation else 'u'}{found.BitsAllocated // 8}"
    return np.frombuffer(pixels, kind).reshape(-1, found.Rows, found.Columns)

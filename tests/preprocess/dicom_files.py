"""DICOM files for tests, written by pydicom, or by codecs for syntaxes that pydicom cannot compress."""

from copy import deepcopy
from functools import lru_cache
from io import BytesIO
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import gdcm
import numpy as np
import pydicom
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

COMPRESSED = (RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1)
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
VIEW_MM = 256
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class Entry(NamedTuple):
    """A file; `hu` are the known Hounsfield units of its first frame, within `error_hu`."""

    name: str
    data: bytes
    hu: NDArray[np.int16] | None = None
    error_hu: float = 0


@lru_cache
def head_hu(rows: int = 64, columns: int = 64) -> NDArray[np.int16]:
    """A round skull around noisy brain, in air: (rows, columns) int16."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    radius = np.hypot(x, y)
    noise = np.random.default_rng(7).normal(0, 4, radius.shape)
    hu: NDArray[np.int16] = np.rint(np.where(radius < 0.6, 33, np.where(radius < 0.7, 1000, -1000)) + noise).astype(
        "i2"
    )
    return hu


def dataset(**changes: Any) -> Dataset:
    """A small CT slice, 12-bit unsigned with intercept -1024; keywords replace attributes, None removes them.

    Its longer side is VIEW_MM long, unless PixelSpacing is given.
    """
    hu = head_hu(changes.get("Rows", 64), changes.get("Columns", 64))
    found = Dataset()
    found.SOPClassUID, found.SOPInstanceUID = CTImageStorage, "1.2.3.1"
    found.StudyInstanceUID, found.SeriesInstanceUID = "1.2", "1.2.3"
    found.Modality, found.ImageType, found.InstanceNumber = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], 1
    found.ImagePositionPatient, found.ImageOrientationPatient = [-125, -125, 0], list(AXIAL)
    found.PixelSpacing, found.RescaleSlope, found.RescaleIntercept = [VIEW_MM / max(hu.shape)] * 2, 1, -1024
    found.Rows, found.Columns = hu.shape
    found.SamplesPerPixel, found.PhotometricInterpretation, found.PixelRepresentation = 1, "MONOCHROME2", 0
    found.BitsAllocated, found.BitsStored, found.HighBit = 16, 12, 11
    found.PixelData = (hu + 1024).astype("<u2").tobytes()
    found["PixelData"].VR = "OW"
    for keyword, value in changes.items():
        setattr(found, keyword, value)
        if value is None:
            delattr(found, keyword)
    return found


def signed(**changes: Any) -> Dataset:
    """The slice as 16-bit signed Hounsfield units."""
    plain = {"BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1, "RescaleIntercept": 0}
    return dataset(**{**plain, "PixelData": head_hu().astype("<i2").tobytes(), **changes})


def written(found: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The bytes of a file."""
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = UID(syntax)
    found.file_meta.MediaStorageSOPClassUID = found.get("SOPClassUID", CTImageStorage)
    found.file_meta.MediaStorageSOPInstanceUID = found.get("SOPInstanceUID", "1.2.3.1")
    if syntax == ExplicitVRBigEndian and "PixelData" in found:
        found.PixelData = np.frombuffer(found.PixelData, "<u2").astype(">u2").tobytes()
    file = BytesIO()
    pydicom.dcmwrite(file, found, enforce_file_format=True)
    return file.getvalue()


def ct(syntax: str = ExplicitVRLittleEndian, **changes: Any) -> bytes:
    """The file of `dataset`, in any syntax that the service reads."""
    found = dataset(**changes)
    return compressed(found, syntax) if syntax in COMPRESSED else written(found, syntax)


def rewritten(file: bytes, keyword: str, value: bytes, vr: str = "") -> bytes:
    """The file (little endian) with an element's value, and its VR where one is given, replaced."""
    element: Any = pydicom.dcmread(BytesIO(file), stop_before_pixels=True).get_item(keyword)
    padded = value + b"\0" * (len(value) % 2)
    length = len(padded).to_bytes(4 if element.is_implicit_VR else 2, "little")
    head = file[: element.value_tell - 8 + 4]
    head += b"" if element.is_implicit_VR else (vr or element.VR).encode()
    return head + length + padded + file[element.value_tell + element.length :]


def compressed(found: Dataset, syntax: str) -> bytes:
    """A single-frame file, compressed without loss."""
    if syntax in (RLELossless, JPEGLSLossless):
        found.file_meta = FileMetaDataset()
        found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        found.compress(syntax, generate_instance_uid=False)
        return written(found, syntax)
    codestream = _jpeg_2000(found) if syntax == JPEG2000Lossless else _jpeg_lossless(found)
    return encapsulated(found, syntax, [codestream])


def encapsulated(found: Dataset, syntax: str, frames: list[bytes]) -> bytes:
    """A file around frames that are already compressed."""
    found.PixelData = encapsulate(frames)
    found["PixelData"].VR = "OB"
    found["PixelData"].is_undefined_length = True
    return written(found, syntax)


def _jpeg_2000(found: Dataset) -> bytes:
    dtype = "<i2" if found.PixelRepresentation else "<u2"
    stored = np.frombuffer(found.PixelData, dtype).reshape(found.Rows, found.Columns)
    return encode_array(stored, bits_stored=found.BitsStored)


def _jpeg_lossless(found: Dataset) -> bytes:
    with TemporaryDirectory() as folder:
        native, jpeg = Path(folder, "native.dcm"), Path(folder, "jpeg.dcm")
        native.write_bytes(written(found))
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(native))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(jpeg))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return next(generate_frames(pydicom.dcmread(jpeg).PixelData, number_of_frames=1))


def enhanced(frames: int = 3, spacing_mm: float = 5, **changes: Any) -> Dataset:
    """An enhanced CT: geometry and rescale in functional groups, frame i at i * `spacing_mm` from the feet.

    Frame i holds the slice's values, with a slope of i + 1.
    """
    moved = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope"))
    found = dataset(SOPClassUID=EnhancedCTImageStorage, RescaleIntercept=None, **moved, **changes)
    pixel_spacing_mm = found.PixelSpacing
    del found.PixelSpacing
    found.NumberOfFrames = frames
    found.PixelData = found.PixelData * frames
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing, orientation.ImageOrientationPatient = pixel_spacing_mm, list(AXIAL)
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
    found.SharedFunctionalGroupsSequence = Sequence([shared])
    found.PerFrameFunctionalGroupsSequence = Sequence([_group(i, i * spacing_mm) for i in range(frames)])
    return found


def macro(**values: Any) -> Sequence:
    """A functional group's macro: a sequence of one item."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return Sequence([item])


def functional_group(found: Dataset, frame: int) -> Dataset:
    """The functional groups of one frame of an enhanced CT."""
    group: Dataset = found.PerFrameFunctionalGroupsSequence[frame]
    return group


def _group(index: int, z_mm: float) -> Dataset:
    position, rescale, group = Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = [-125, -125, z_mm]
    rescale.RescaleIntercept, rescale.RescaleSlope = -1024 * (index + 1), index + 1
    group.PlanePositionSequence, group.PixelValueTransformationSequence = Sequence([position]), Sequence([rescale])
    return group


def series(count: int = 6, step_mm: float = 5, series_uid: str = "1.2.3", **changes: Any) -> list[bytes]:
    """Files of one series, from the feet to the head."""
    return [
        ct(
            SOPInstanceUID=f"{series_uid}.{index + 1}",
            SeriesInstanceUID=series_uid,
            InstanceNumber=index + 1,
            **{"ImagePositionPatient": [-125, -125, index * step_mm], **changes},
        )
        for index in range(count)
    ]


def reoriented(found: Dataset, *, transpose: bool, reverse_rows: bool, reverse_columns: bool) -> Dataset:
    """The same slice with its pixels in another order, and its geometry to match."""
    out = deepcopy(found)
    pixels = np.frombuffer(found.PixelData, "<u2").reshape(found.Rows, found.Columns)
    first = np.array(found.ImagePositionPatient, float)
    along_row, down_column = np.reshape(np.array(found.ImageOrientationPatient, float), (2, 3))
    spacing = [float(value) for value in found.PixelSpacing]
    if reverse_rows:
        pixels, first = pixels[::-1], first + down_column * spacing[0] * (found.Rows - 1)
        down_column = -down_column
    if reverse_columns:
        pixels, first = pixels[:, ::-1], first + along_row * spacing[1] * (found.Columns - 1)
        along_row = -along_row
    if transpose:
        pixels, along_row, down_column, spacing = pixels.T, down_column, along_row, spacing[::-1]
    out.Rows, out.Columns = pixels.shape
    out.PixelData = np.ascontiguousarray(pixels).tobytes()
    out.PixelSpacing, out.ImagePositionPatient = spacing, [round(value, 6) for value in first.tolist()]
    out.ImageOrientationPatient = [round(value, 6) for value in [*along_row.tolist(), *down_column.tolist()]]
    return out


def all_eight(found: Dataset) -> list[Dataset]:
    """A slice in all eight pixel orders by transposing and flipping; the first is the original."""
    names = ("transpose", "reverse_rows", "reverse_columns")
    return [reoriented(found, **dict(zip(names, flags, strict=True))) for flags in product((False, True), repeat=3)]


def deflated(**changes: Any) -> bytes:
    """A file that is deflated as a whole, including its header."""
    return written(dataset(**changes), DeflatedExplicitVRLittleEndian)


def without_preamble(file: bytes) -> bytes:
    """A bare data set, as in some archives: neither preamble nor file meta information."""
    return file[file.index(b"\x08\x00\x08\x00") :]


def nested(depth: int) -> bytes:
    """Nested sequences of undefined length, before a slice's pixels."""
    opening = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    file = ct()
    at = file.index(b"\x10\x00") if b"\x10\x00\x10\x00PN" in file else file.index(b"\x20\x00\x0d\x00UI")
    return file[:at] + opening * depth + closing * depth + file[at:]

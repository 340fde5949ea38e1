"""The sample series with the changes that scanners, archives and clients make."""

import copy
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import EnhancedCTImageStorage, generate_uid

Slices = list[pydicom.FileDataset]
Edit = Callable[[int, Dataset], None]

CORONAL = [1, 0, 0, 0, 0, -1]
_PER_FRAME = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleIntercept", "RescaleSlope",
    "RescaleType", "ConvolutionKernel", "SliceLocation", "SliceThickness", "KVP",
)  # fmt: skip


def load(folder: Path) -> Slices:
    """The files of a folder, sorted by name."""
    return [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]


def encoded(slices: Sequence[Dataset]) -> dict[str, bytes]:
    """DICOM files, named by number."""
    return {f"{number:02d}.dcm": _bytes(item) for number, item in enumerate(slices)}


def edited(slices: Slices, edit: Edit) -> Slices:
    """A copy; `edit(number, slice)` changes each slice."""
    found = copy.deepcopy(slices)
    for number, item in enumerate(found):
        edit(number, item)
    return found


def reoriented(transpose: bool, flip_rows: bool, flip_columns: bool) -> Edit:  # noqa: FBT001 - the three parts of an orientation
    """An edit that stores the same image in another in-plane orientation."""

    def edit(_: int, item: Dataset) -> None:
        pixels, (row_mm, column_mm) = item.pixel_array, map(float, item.PixelSpacing)
        row, column = np.array(item.ImageOrientationPatient[:3]), np.array(item.ImageOrientationPatient[3:])
        origin = np.array(item.ImagePositionPatient, float)
        if flip_columns:
            origin, row, pixels = origin + row * column_mm * (pixels.shape[1] - 1), -row, pixels[:, ::-1]
        if flip_rows:
            origin, column, pixels = origin + column * row_mm * (pixels.shape[0] - 1), -column, pixels[::-1]
        if transpose:
            row, column, pixels, row_mm, column_mm = column, row, pixels.T, column_mm, row_mm
        item.PixelData = np.ascontiguousarray(pixels).tobytes()
        item.Rows, item.Columns = pixels.shape
        item.PixelSpacing, item.ImagePositionPatient = [row_mm, column_mm], [round(float(x), 6) for x in origin]
        item.ImageOrientationPatient = [*map(float, row), *map(float, column)]

    return edit


def enhanced(slices: Slices, change: Edit) -> bytes:
    """One Enhanced CT object; `change` edits the functional groups of each frame."""
    first, found = slices[0], copy.deepcopy(slices[0])
    for keyword in _PER_FRAME:
        if keyword in found:
            delattr(found, keyword)
    found.SOPClassUID = found.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    found.NumberOfFrames, found.ImageType = len(slices), ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    found.SharedFunctionalGroupsSequence = DicomSequence([_shared(first)])
    found.PerFrameFunctionalGroupsSequence = DicomSequence(
        [_frame(number, at, change) for number, at in enumerate(slices)]
    )
    found.PixelData = b"".join(item.PixelData for item in slices)
    return _bytes(found)


def _shared(first: Dataset) -> Dataset:
    shared = Dataset()
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=first.ImageOrientationPatient)
    shared.PixelMeasuresSequence = group(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness)
    shared.PixelValueTransformationSequence = group(
        RescaleIntercept=first.RescaleIntercept, RescaleSlope=first.RescaleSlope, RescaleType="HU"
    )
    return shared


def _frame(number: int, item: Dataset, change: Edit) -> Dataset:
    frame = Dataset()
    frame.PlanePositionSequence = group(ImagePositionPatient=item.ImagePositionPatient)
    frame.CTImageFrameTypeSequence = group(FrameType=["ORIGINAL", "PRIMARY", "AXIAL", "NONE"])
    change(number, frame)
    return frame


def group(**values: object) -> DicomSequence:
    """A functional group: a sequence of one item."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return DicomSequence([item])


def reformatted_coronal(slices: Slices) -> Slices:
    """Coronal reformats of the same volume, as many as slices."""
    volume, found = np.stack([item.pixel_array for item in slices]), copy.deepcopy(slices)
    for number, item in enumerate(found):
        plane = np.repeat(volume[::-1, number * 9, :], 10, axis=0)[: item.Rows]
        item.PixelData = np.ascontiguousarray(plane).tobytes()
    return found


def _bytes(item: Dataset) -> bytes:
    file = io.BytesIO()
    item.save_as(file)
    return file.getvalue()

"""Synthetic scans for tests: a head is a bright ring in air, filled with one grey value."""

import io
import math
import zipfile
from ast import literal_eval
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.windowing import apply_windows

SERIES_UID = "2.25.10"


@lru_cache(maxsize=64)
def head(size: int = 512, brain_hu: int = 35, skull: float = 0.04) -> NDArray[np.int16]:
    """(size, size) int16 HU, read-only: skull, whose thickness is a share of the picture's width, brain and air."""
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    radius = np.hypot(rows, columns)
    hu = np.where(radius < 0.40, 1000, -1000)
    made = np.where(radius < 0.40 - skull, brain_hu, hu).astype(np.int16)
    made.flags.writeable = False  # every test gets the same array
    return made


def ct_slice(index: int = 0, hu: NDArray[np.int16] | None = None, **tags: Any) -> bytes:
    """A CT Image Storage file; slices of higher `index` lie higher and have a thicker skull.

    `tags` are set last; None removes one.
    """
    if hu is None and all(map(_is_plain, tags.values())):
        return _plain_slice(index, repr(tags))
    return _make_slice(index, head(skull=0.04 + 0.002 * index) if hu is None else hu, tags)


def _is_plain(value: object) -> bool:
    """Whether the text of a tag is a literal, which the file depends on alone."""
    if type(value) in (list, tuple):
        return all(map(_is_plain, cast("Sequence[object]", value)))
    return type(value) in (str, int, type(None)) or (type(value) is float and math.isfinite(value))


@lru_cache(maxsize=100)
def _plain_slice(index: int, tags: str) -> bytes:
    """The file is the same for the same text of the tags."""
    return _make_slice(index, head(skull=0.04 + 0.002 * index), literal_eval(tags))


def _make_slice(index: int, pixels: NDArray[np.int16], tags: Mapping[str, Any]) -> bytes:
    data = Dataset()
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID = f"{SERIES_UID}.{index + 1}"
    data.StudyInstanceUID, data.SeriesInstanceUID = "2.25.1", SERIES_UID
    data.Modality, data.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.BodyPartExamined, data.KVP, data.InstanceNumber = "HEAD", 120, index + 1
    data.ImagePositionPatient, data.ImageOrientationPatient = [-125, -125, 5.0 * index], [1, 0, 0, 0, 1, 0]
    data.PixelSpacing, data.SliceThickness = [256 / max(pixels.shape)] * 2, 5
    data.Rows, data.Columns = pixels.shape
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.RescaleSlope, data.RescaleIntercept = 1, 0
    data.PixelData = pixels.tobytes()
    for keyword, value in tags.items():
        setattr(data, keyword, value) if value is not None else delattr(data, keyword)
    return _written(data)


def _written(data: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = UID(data.get("SOPInstanceUID") or SERIES_UID)
    file = io.BytesIO()
    FileDataset("", data, file_meta=meta, preamble=b"\0" * 128).save_as(file, enforce_file_format=True)
    return file.getvalue()


def series(count: int, **tags: Any) -> dict[str, bytes]:
    """Files of one series by their names, in anatomical order."""
    return {f"{index:03d}.dcm": ct_slice(index, **tags) for index in range(count)}


def picture(size: tuple[int, int] = (512, 512), mode: str = "RGB", brain_hu: int = 35) -> bytes:
    """A PNG of a head in the three windows; the recipe makes 512 x 512 RGB."""
    shown = Image.fromarray(apply_windows(head(brain_hu=brain_hu), DEFAULT_RECIPE)).resize(size).convert(mode)
    file = io.BytesIO()
    shown.save(file, "PNG")
    return file.getvalue()


def zipped(files: Mapping[str, bytes] | Sequence[tuple[str, bytes]]) -> bytes:
    """A zip of files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items() if isinstance(files, Mapping) else files:
            archive.writestr(name, data)
    return file.getvalue()

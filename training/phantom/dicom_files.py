"""A phantom study as DICOM files: CT Image Storage, explicit little endian, 16-bit signed."""

from datetime import UTC, datetime
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy import ndimage

from training.phantom.geometry import SIZE, Scan
from training.phantom.study import Study

INTERCEPT_HU: Final = -1024
CREATED: Final = datetime(2019, 9, 24, 12, 0, 0, tzinfo=UTC)  # fixed, so that files are reproducible
SERIES_DESCRIPTION: Final = "Synthetic phantom, no patient"


def dicom_files(study: Study, name: str) -> list[bytes]:
    """Return every slice of a study as a DICOM file, from foot to head. The same `name` gives the same UIDs."""
    return [file_bytes(dataset) for dataset in datasets(study, name)]


def datasets(study: Study, name: str) -> list[FileDataset]:
    """Return every slice of a study as a data set, from foot to head."""
    common = {level: generate_uid(entropy_srcs=[name, level]) for level in ("study", "series", "frame of reference")}
    return [
        _slice(study, index, common, generate_uid(entropy_srcs=[name, "slice", str(index)]))
        for index in range(len(study.hu))
    ]


def _slice(study: Study, index: int, uids: dict[str, UID], uid: UID) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = generate_uid(entropy_srcs=["phantom writer"])
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, uid
    _identify(dataset, uids, index)
    _place(dataset, study.scan, float(study.position_mm[index]))
    _fill(dataset, study.hu[index])
    return dataset


def _identify(dataset: Dataset, uids: dict[str, UID], index: int) -> None:
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uids["study"], uids["series"]
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = uids["frame of reference"], ""
    dataset.PatientName, dataset.PatientID = "Phantom^Synthetic", "PHANTOM"
    dataset.PatientBirthDate, dataset.PatientSex = "", "O"
    for kind in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{kind}Date", CREATED.strftime("%Y%m%d"))
        setattr(dataset, f"{kind}Time", CREATED.strftime("%H%M%S"))
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "1", "", ""
    dataset.SeriesNumber, dataset.AcquisitionNumber, dataset.InstanceNumber = 1, 1, index + 1
    dataset.Modality, dataset.Manufacturer, dataset.BodyPartExamined = "CT", "synthetic", "HEAD"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesDescription = SERIES_DESCRIPTION


def _place(dataset: Dataset, scan: Scan, position_mm: float) -> None:
    """Set spacing, orientation and the centre of the first pixel (PS3.3 C.7.6.2)."""
    axes, corner = scan.orientation(), (SIZE - 1) / 2 * scan.pixel_mm
    first = (scan.centre_mm[0] - corner) * axes[0] + (scan.centre_mm[1] - corner) * axes[1] + position_mm * axes[2]
    dataset.PixelSpacing = [_decimal(scan.pixel_mm)] * 2
    dataset.SliceThickness = _decimal(scan.thickness_mm)
    dataset.ImageOrientationPatient = [_decimal(value) for value in [*axes[0], *axes[1]]]
    dataset.ImagePositionPatient = [_decimal(value) for value in first]
    dataset.SliceLocation = _decimal(position_mm)
    dataset.GantryDetectorTilt = _decimal(scan.gantry_tilt_deg)
    dataset.PatientPosition, dataset.KVP, dataset.ConvolutionKernel = "HFS", "120", "SYNTHETIC"


def _fill(dataset: Dataset, hu: NDArray[np.int16]) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = hu.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = str(INTERCEPT_HU), "1", "HU"
    dataset.WindowCenter, dataset.WindowWidth = "40", "80"
    dataset.PixelData = (hu - np.int16(INTERCEPT_HU)).astype("<i2").tobytes()


def file_bytes(dataset: FileDataset) -> bytes:
    """Return a data set in the DICOM file format (PS3.10)."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def enlarged(hu: NDArray[np.int16]) -> NDArray[np.int16]:
    """Interpolate slices (n, 256, 256) to (n, 512, 512) by cubic splines, without new detail or noise.

    Splines overshoot beside bone; values are clipped to the slice's range.
    """
    large = np.stack([ndimage.zoom(slice_.astype(np.float32), 2, mode="nearest", grid_mode=True) for slice_ in hu])
    low, high = hu.min(axis=(1, 2), keepdims=True), hu.max(axis=(1, 2), keepdims=True)
    whole: NDArray[np.int16] = np.clip(np.rint(large), low, high).astype(np.int16)
    return whole


def set_enlarged(dataset: Dataset) -> None:
    """Adapt a header to `enlarged`: half the spacing; the first pixel's centre moves outwards by a quarter pixel."""
    spacing, axes = float(dataset.PixelSpacing[0]), np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
    first = np.array(dataset.ImagePositionPatient, float) - spacing / 4 * axes.sum(axis=0)
    dataset.PixelSpacing = [_decimal(spacing / 2)] * 2
    dataset.ImagePositionPatient = [_decimal(float(value)) for value in first]
    dataset.Rows, dataset.Columns = 2 * dataset.Rows, 2 * dataset.Columns


def _decimal(value: float) -> str:
    """Format a DS value, at most 16 characters (PS3.5 6.2)."""
    return f"{value:.6f}"

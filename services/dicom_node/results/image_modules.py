"""Modules that result images have in common: patient and study of the source, series, equipment and times."""

from collections.abc import Mapping
from typing import Any, Final

from pydicom import Dataset
from pydicom.uid import CTImageStorage

from services.common.version import VERSION
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.result_object import Kind
from services.dicom_node.results.uids import derive_uid
from services.dicom_node.software import SOFTWARE

MANUFACTURER: Final = "ich-detect"
_SERIES_NUMBERS: Final[Mapping[Kind, int]] = {"secondary_capture": 9903, "segmentation": 9904, "parametric_map": 9906}
_SERIES: Final[Mapping[Kind, str]] = {
    "secondary_capture": "ICH key slices (research use only)",
    "segmentation": "ICH segmentation (research use only)",
    "parametric_map": "ICH blood map (research use only)",
}
_REQUIRED: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_COPIED: Final = (
    *_REQUIRED,
    "SpecificCharacterSet",
    "StudyInstanceUID",
    "StudyDescription",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "TimezoneOffsetFromUTC",
)


def series_arguments(context: ResultContext, kind: Kind, number: int) -> dict[str, Any]:
    """Arguments of highdicom's constructors that name series, instance and equipment."""
    return {
        "series_instance_uid": derive_uid(context.seed, kind, "series"),
        "series_number": _SERIES_NUMBERS[kind],
        "sop_instance_uid": derive_uid(context.seed, kind, number),
        "instance_number": number,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": SOFTWARE,
        "software_versions": VERSION,
        "device_serial_number": context.report.model.sha256[:16] or "none",
    }


def neutral_source(context: ResultContext) -> Dataset:
    """A source image of one row of eight pixels, which highdicom's constructors take: its own values are never kept."""
    source = Dataset()
    source.SOPClassUID, source.SOPInstanceUID = CTImageStorage, context.header.SOPInstanceUID
    source.StudyInstanceUID, source.SeriesInstanceUID = (
        context.header.StudyInstanceUID,
        context.header.SeriesInstanceUID,
    )
    source.FrameOfReferenceUID, source.PositionReferenceIndicator = frame_of_reference_uid(context), ""
    for keyword in _REQUIRED:
        setattr(source, keyword, "")
    source.Modality, source.Rows, source.Columns = "CT", 1, 8
    source.ImageOrientationPatient, source.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 0]
    source.PixelSpacing, source.SliceThickness = [1, 1], 1
    return source


def frame_of_reference_uid(context: ResultContext) -> str:
    """The source's, or one derived from its series where it states none."""
    stated: str = context.header.get("FrameOfReferenceUID") or ""
    return stated or derive_uid(context.header.SeriesInstanceUID, "frame of reference")


def finish(context: ResultContext, dataset: Dataset, kind: Kind) -> Dataset:
    """Copy patient and study from the source as stated, and set the times: nothing depends on when this runs."""
    for keyword in _COPIED:
        if keyword in context.header:
            dataset[keyword] = context.header[keyword]
    day, time = context.created.strftime("%Y%m%d"), context.created.strftime("%H%M%S")
    for part in ("InstanceCreation", "Content", "Series"):
        setattr(dataset, f"{part}Date", day)
        setattr(dataset, f"{part}Time", time)
    dataset.SeriesDescription, dataset.BodyPartExamined = _SERIES[kind], "HEAD"
    for item in dataset.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = day + time
    organization = derive_uid(context.seed, kind, "dimension organization")
    for item in (*dataset.get("DimensionOrganizationSequence", ()), *dataset.get("DimensionIndexSequence", ())):
        item.DimensionOrganizationUID = organization
    return dataset

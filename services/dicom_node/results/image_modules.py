"""Modules that result images have in common, beside those of all result objects."""

from typing import Any, Final

from pydicom import Dataset
from pydicom.uid import CTImageStorage

from services.common.version import VERSION
from services.dicom_node.kinds import Kind
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.object_frame import created_at, finish_object, instance_uid, series_number, series_uid
from services.dicom_node.results.result_object import ResultObject
from services.dicom_node.results.uids import derive_uid
from services.dicom_node.software import MANUFACTURER, SOFTWARE

_EMPTY: Final = (
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


def constructor_arguments(context: ResultContext, kind: Kind, number: int) -> dict[str, Any]:
    """Arguments of highdicom's constructors that name series, instance and equipment."""
    return {
        "series_instance_uid": series_uid(context, kind),
        "series_number": series_number(context, kind),
        "sop_instance_uid": instance_uid(context, kind, number),
        "instance_number": number,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": SOFTWARE,
        "software_versions": VERSION,
        "device_serial_number": context.device_serial_number,
    }


def placeholder_source(context: ResultContext) -> Dataset:
    """A source image of one row of eight pixels for highdicom's constructors, which refuse some real sources.

    They refuse duplicate positions, several orientations, several multi-frame instances, and attributes that are
    missing or malformed. The builders set all that follows from the source.
    """
    source = Dataset()
    source.SOPClassUID, source.SOPInstanceUID = CTImageStorage, context.header.SOPInstanceUID
    source.StudyInstanceUID = context.header.StudyInstanceUID
    source.SeriesInstanceUID = context.header.SeriesInstanceUID
    source.FrameOfReferenceUID, source.PositionReferenceIndicator = context.header.SeriesInstanceUID, ""
    for keyword in _EMPTY:
        setattr(source, keyword, "")
    source.Modality, source.Rows, source.Columns = "CT", 1, 8
    source.ImageOrientationPatient, source.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 0]
    source.PixelSpacing, source.SliceThickness = [1, 1], 1
    return source


def finish_image(context: ResultContext, kind: Kind, dataset: Dataset, number: int) -> ResultObject:
    """Set what all result images share, in place, so that nothing depends on when this runs."""
    dataset.BodyPartExamined = "HEAD"
    organization = derive_uid(context.seed, kind, "dimension organization")
    for item in (*dataset.get("DimensionOrganizationSequence", ()), *dataset.get("DimensionIndexSequence", ())):
        item.DimensionOrganizationUID = organization
    for item in dataset.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = created_at(context).strftime("%Y%m%d%H%M%S")
    set_lossy_compression(context, dataset)
    return finish_object(context, kind, dataset, number)


def set_lossy_compression(context: ResultContext, dataset: Dataset) -> None:
    """An image that was derived from a lossy one counts as lossy (PS3.3 C.7.6.1.1.5)."""
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in context.header:
            dataset[keyword] = context.header[keyword]

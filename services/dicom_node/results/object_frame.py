"""What all DICOM result objects share: identity, source modules, equipment, series, and times.

Everything derives from the context, never from the clock or chance: building again gives the same bytes.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Final

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from services.common.labels import Label
from services.dicom_node.kinds import KINDS, Kind
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.equipment import set_equipment
from services.dicom_node.results.result_object import ResultObject
from services.dicom_node.results.source_modules import copy_source_modules
from services.dicom_node.results.uids import derive_uid

SERIES_DESCRIPTIONS: Final[Mapping[Kind, str]] = {
    "sr": "ICH detection, measurements (research use only)",
    "text_sr": "ICH detection, report (research use only)",
    "secondary_capture": "ICH detection, key slices (research use only)",
    "segmentation": "ICH detection, segmentation (research use only)",
    "key_objects": "ICH detection, key objects (research use only)",
    "parametric_map": "ICH detection, blood map (research use only)",
}


def series_uid(context: ResultContext, kind: Kind) -> str:
    """SeriesInstanceUID of all objects of a kind."""
    return derive_uid(context.seed, kind, "series")


def instance_uid(context: ResultContext, kind: Kind, number: int = 1) -> str:
    """SOPInstanceUID of an object of a kind, by its number from 1."""
    return derive_uid(context.seed, kind, number)


def observation_uid(context: ResultContext, label: Label) -> str:
    """ObservationUID of a label's measurement group, by which SR and FHIR name the same observation."""
    return derive_uid(context.seed, "observation", label)


def series_number(context: ResultContext, kind: Kind) -> int:
    """SeriesNumber of a kind: the setting, plus its place among the kinds."""
    return context.first_series_number + KINDS.index(kind)


def created_at(context: ResultContext) -> datetime:
    """When the assessment was made, in the time zone of the source, or else of this machine."""
    offset = str(context.header.get("TimezoneOffsetFromUTC") or "").strip()
    try:
        zone = timezone(timedelta(hours=int(offset[:-2]), minutes=int(offset[0] + offset[-2:]))) if offset else None
    except ValueError:
        zone = None
    return context.created.astimezone(zone)


def finish_object(context: ResultContext, kind: Kind, dataset: Dataset, number: int = 1) -> ResultObject:
    """Set what all objects share, in place, whatever a library put there; the builder sets the rest.

    Parameters
    ----------
    dataset : with SOPClassUID, Modality and the content
    number : of the object among those of its kind, from 1; it is the InstanceNumber
    """
    copy_source_modules(context.header, dataset)
    set_equipment(context, dataset)
    dataset.SOPInstanceUID = instance_uid(context, kind, number)
    dataset.SeriesInstanceUID = series_uid(context, kind)
    dataset.SeriesNumber = series_number(context, kind)
    dataset.SeriesDescription = SERIES_DESCRIPTIONS[kind]
    dataset.InstanceNumber = number
    _set_times(created_at(context), dataset)
    dataset.file_meta = _file_meta(dataset)
    return ResultObject(kind, dataset)


def _set_times(created: datetime, dataset: Dataset) -> None:
    for event in ("InstanceCreation", "Series", "Content"):
        setattr(dataset, f"{event}Date", created.strftime("%Y%m%d"))
        setattr(dataset, f"{event}Time", created.strftime("%H%M%S"))


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    """File meta information of Explicit VR Little Endian, or of the transfer syntax that a builder chose."""
    stated = getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID")
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = stated or ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UID(dataset.SOPClassUID)
    meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    return meta

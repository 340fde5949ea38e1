"""One built result object."""

from dataclasses import dataclass

from pydicom import Dataset

from services.dicom_node.kinds import KINDS, Kind

__all__ = ["KINDS", "Kind", "ResultObject"]


@dataclass(frozen=True, slots=True)
class ResultObject:
    """A DICOM object with its file meta information, or a FHIR bundle in JSON."""

    kind: Kind
    content: Dataset | bytes

"""One delivery: a result object to a destination."""

from dataclasses import dataclass
from pathlib import Path

from services.dicom_node.kinds import Kind


@dataclass(frozen=True, slots=True)
class Delivery:
    """An object with its UIDs, empty for FHIR, and its file, which never changes.

    attempts : to send it, and to have it confirmed, that were begun
    refusals : permanent answers of the destination so far
    code : of the latest failure
    since_s : when it was first tried, by the node's clock; None before, and after `resend`
    """

    id: int
    assessment: int
    kind: Kind
    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    path: Path
    attempts: int
    refusals: int
    code: str | None
    since_s: float | None

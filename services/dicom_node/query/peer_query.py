"""The seam between what asks a peer and the two protocols."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from services.dicom_node.instance_header import InstanceHeader

# Attributes of series and instances that are asked for, by keyword, with the tag's level.
SERIES_KEYS: Final = (
    "Modality",
    "SeriesInstanceUID",
    "SeriesDescription",
    "BodyPartExamined",
    "ProtocolName",
    "StudyDescription",
    "ManufacturerModelName",
    "NumberOfSeriesRelatedInstances",
)
INSTANCE_KEYS: Final = (
    "SOPInstanceUID",
    "SOPClassUID",
    "InstanceNumber",
    "NumberOfFrames",
    "ImageType",
    "ConvolutionKernel",
    "SliceThickness",
    "ImageOrientationPatient",
)


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """A series at a peer.

    header : as far as the peer answers; of the series, and of one of its instances
    instances : NumberOfSeriesRelatedInstances (0020,1209); None where the peer does not count
    """

    header: InstanceHeader
    instances: int | None

    @property
    def uid(self) -> str:
        return self.header.series_instance_uid


class PeerQuery(Protocol):
    """Asks one peer. Each method raises PeerUnavailable where the peer does not answer."""

    def series(self, study_instance_uid: str) -> Sequence[FoundSeries]:
        """The series of a study, without attributes of instances; empty where the peer has no such study."""

    def with_instance(self, found: FoundSeries) -> FoundSeries:
        """The series with the attributes of one of its instances."""

    def has_instance(self, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str) -> bool:
        """Whether the peer has an instance."""

"""One built result object."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from pydicom import Dataset

Kind = Literal["sr", "text_sr", "secondary_capture", "segmentation", "key_objects", "parametric_map", "fhir"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class ResultObject:
    """A DICOM object with its file meta information, or a FHIR bundle in JSON."""

    kind: Kind
    content: Dataset | bytes

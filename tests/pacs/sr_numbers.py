"""Numbers of a Comprehensive 3D SR (TID 1500), read by highdicom."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import highdicom as hd
from pydicom import Dataset

_MEASUREMENT_GROUP: Final = hd.sr.CodedConcept("125007", "DCM", "Measurement Group")


@dataclass(frozen=True)
class Numbers:
    """Probabilities of a label: of the series, and of slices by their SOPInstanceUID."""

    series: float
    slices: Mapping[str, float]


def read_numbers(document: Dataset) -> Mapping[str, Numbers]:
    """The probabilities of each label, by the tracking identifier of its measurement group."""
    buffer = BytesIO()
    document.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    document = hd.sr.srread(buffer)
    groups = hd.sr.utils.find_content_items(document, name=_MEASUREMENT_GROUP, recursive=True)
    return dict(_group(group) for group in groups)


def _group(group: Dataset) -> tuple[str, Numbers]:
    items = group.ContentSequence
    label = next(item.TextValue for item in items if item.ValueType == "TEXT")
    numbers = [(item, float(item.MeasuredValueSequence[0].NumericValue)) for item in items if item.ValueType == "NUM"]
    slices = {_image(item): value for item, value in numbers if "ContentSequence" in item}
    (series,) = [value for item, value in numbers if "ContentSequence" not in item]
    return str(label), Numbers(series, slices)


def _image(item: Dataset) -> str:
    return str(item.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)

"""Reads documents back as a receiver does."""

import io
from collections.abc import Iterator, Sequence

from pydicom import Dataset, dcmread

from services.dicom_node.results.result_object import ResultObject


def written(item: ResultObject) -> bytes:
    """The file of a DICOM object."""
    assert isinstance(item.content, Dataset)
    file = io.BytesIO()
    item.content.save_as(file, enforce_file_format=True)
    return file.getvalue()


def read_back(items: Sequence[ResultObject]) -> Dataset:
    """The only object, from its file."""
    (item,) = items
    return dcmread(io.BytesIO(written(item)))


def tree(item: Dataset) -> Iterator[Dataset]:
    """All content items below one."""
    for child in item.get("ContentSequence", ()):
        yield child
        yield from tree(child)


def texts(document: Dataset) -> list[str]:
    """The values of all TEXT items, in order."""
    return [item.TextValue for item in tree(document) if item.ValueType == "TEXT"]


def code_values(document: Dataset) -> set[str]:
    """The values of all CODE items."""
    return {item.ConceptCodeSequence[0].CodeValue for item in tree(document) if item.ValueType == "CODE"}


def referenced(document: Dataset) -> list[tuple[str, int | None]]:
    """UID and frame number of all IMAGE items, in order."""
    items = [item.ReferencedSOPSequence[0] for item in tree(document) if item.ValueType == "IMAGE"]
    return [(item.ReferencedSOPInstanceUID, item.get("ReferencedFrameNumber")) for item in items]


def evidence(document: Dataset, keyword: str = "CurrentRequestedProcedureEvidenceSequence") -> list[str]:
    """UIDs of the instances that a document lists."""
    return [
        instance.ReferencedSOPInstanceUID
        for study in document.get(keyword, ())
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]

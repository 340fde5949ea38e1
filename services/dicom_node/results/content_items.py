"""Content items of structured reports and key object selections (PS3.3 C.17.3).

Made by pydicom alone: highdicom copies each tree several times, which takes half a minute for 300 slices. Tests read
the documents by highdicom.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.valuerep import DSfloat

from services.dicom_node.results.codes import NO_UNITS

Relationship = Literal["CONTAINS", "HAS CONCEPT MOD", "HAS OBS CONTEXT", "INFERRED FROM"]
_ASCII: Final = str.maketrans({"×": "x", "≤": "<=", "≥": ">=", "–": "-", "—": "-", "…": "...", "’": "'", "µ": "u"})
_MAX_UT: Final = 16_384


@lru_cache(maxsize=256)
def code_item(code: Code) -> Dataset:
    """The item of a code sequence; it is shared, so nobody changes it."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


def plain_text(text: str) -> str:
    """ASCII, which every character set of a source series has, for texts of this software."""
    return text.translate(_ASCII).encode("ascii", "replace").decode()[:_MAX_UT]


def container(
    name: Code, items: Sequence[Dataset], *, template: str | None = None, relationship: Relationship | None = "CONTAINS"
) -> Dataset:
    """A CONTAINER; the root one has no relationship."""
    item = _item("CONTAINER", name, relationship)
    item.ContinuityOfContent = "SEPARATE"
    if template is not None:
        identified = Dataset()
        identified.MappingResource, identified.TemplateIdentifier = "DCMR", template
        item.ContentTemplateSequence = [identified]
    item.ContentSequence = list(items)
    return item


def code(name: Code, value: Code, relationship: Relationship = "CONTAINS") -> Dataset:
    item = _item("CODE", name, relationship)
    item.ConceptCodeSequence = [code_item(value)]
    return item


def text(name: Code, value: str, relationship: Relationship = "CONTAINS") -> Dataset:
    item = _item("TEXT", name, relationship)
    item.TextValue = plain_text(value)
    return item


def uid_reference(name: Code, value: str, relationship: Relationship) -> Dataset:
    item = _item("UIDREF", name, relationship)
    item.UID = value
    return item


def number(name: Code, value: float, items: Sequence[Dataset] = ()) -> Dataset:
    """A NUM without units: to the 16 characters of DS, and as the exact float64 beside it."""
    item = _item("NUM", name, "CONTAINS")
    measured = Dataset()
    measured.NumericValue = DSfloat(value, auto_format=True)
    measured.FloatingPointValue = value
    measured.MeasurementUnitsCodeSequence = [code_item(NO_UNITS)]
    item.MeasuredValueSequence = [measured]
    if items:
        item.ContentSequence = list(items)
    return item


def image(
    name: Code | None,
    sop_class_uid: str,
    sop_instance_uid: str,
    frame: int | None = None,
    relationship: Relationship = "CONTAINS",
) -> Dataset:
    """A reference to an image.

    Parameters
    ----------
    frame : of a multi-frame image, from 0
    """
    item = _item("IMAGE", name, relationship)
    referenced = Dataset()
    referenced.ReferencedSOPClassUID = sop_class_uid
    referenced.ReferencedSOPInstanceUID = sop_instance_uid
    if frame is not None:
        referenced.ReferencedFrameNumber = frame + 1
    item.ReferencedSOPSequence = [referenced]
    return item


def _item(value_type: str, name: Code | None, relationship: Relationship | None) -> Dataset:
    item = Dataset()
    if relationship is not None:
        item.RelationshipType = relationship
    item.ValueType = value_type
    if name is not None:
        item.ConceptNameCodeSequence = [code_item(name)]
    return item

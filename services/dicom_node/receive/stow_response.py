"""The Store Instances Response Module of STOW-RS (PS3.18 10.5.3, table I.2-1) in DICOM JSON and Native DICOM XML."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, tostring

DICOM_JSON: Final = "application/dicom+json"
DICOM_XML: Final = "application/dicom+xml"
MEDIA_TYPES: Final = (DICOM_JSON, DICOM_XML, "application/json")

# Tags of the module, their value representations and keywords.
_CLASS: Final = ("00081150", "UI", "ReferencedSOPClassUID")
_INSTANCE: Final = ("00081155", "UI", "ReferencedSOPInstanceUID")
_REASON: Final = ("00081197", "US", "FailureReason")
_FAILED: Final = ("00081198", "SQ", "FailedSOPSequence")
_STORED: Final = ("00081199", "SQ", "ReferencedSOPSequence")
_OTHERS: Final = ("0008119A", "SQ", "OtherFailuresSequence")

_Attribute = tuple[str, str, str]
_Item = dict[_Attribute, Any]


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance that is stored, now or before."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class FailedInstance:
    """A part that is not stored.

    sop_class_uid, sop_instance_uid : empty where they could not be read
    reason : FailureReason
    """

    sop_class_uid: str
    sop_instance_uid: str
    reason: int


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of the parts of a request, each in the order sent."""

    stored: Sequence[StoredInstance]
    failed: Sequence[FailedInstance]

    def encoded(self, media_type: str) -> bytes:
        """The response's data set in one of MEDIA_TYPES. It has no RetrieveURL: the node serves no instances."""
        return _as_xml(self._attributes()) if media_type == DICOM_XML else _as_json(self._attributes())

    def _attributes(self) -> _Item:
        named = [each for each in self.failed if each.sop_instance_uid]
        found: _Item = {
            _FAILED: [_reference(each) | {_REASON: each.reason} for each in named],
            _STORED: [_reference(each) for each in self.stored],
            _OTHERS: [{_REASON: each.reason} for each in self.failed if not each.sop_instance_uid],
        }
        return {attribute: items for attribute, items in found.items() if items}


def _reference(instance: StoredInstance | FailedInstance) -> _Item:
    return {_CLASS: instance.sop_class_uid, _INSTANCE: instance.sop_instance_uid}


def _as_json(item: _Item) -> bytes:
    return json.dumps(_json_item(item), separators=(",", ":")).encode()


def _json_item(item: _Item) -> dict[str, Any]:
    """An item by tags (PS3.18 F.2.2)."""
    return {tag: {"vr": vr, "Value": list(_json_values(value))} for (tag, vr, _), value in item.items()}


def _json_values(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from map(_json_item, value)
    else:
        yield value


def _as_xml(item: _Item) -> bytes:
    root = Element("NativeDicomModel", {"xmlns": "http://dicom.nema.org/PS3.19/models/NativeDICOM"})
    root.set("xml:space", "preserve")
    _add_attributes(root, item)
    encoded: bytes = tostring(root, "utf-8", xml_declaration=True)
    return encoded


def _add_attributes(parent: Element, item: _Item) -> None:
    """Add attributes as PS3.19 A.1.6 defines."""
    for (tag, vr, keyword), value in item.items():
        attribute = SubElement(parent, "DicomAttribute", {"tag": tag, "vr": vr, "keyword": keyword})
        for number, each in enumerate(value if isinstance(value, list) else [value], start=1):
            child = SubElement(attribute, "Item" if vr == "SQ" else "Value", {"number": str(number)})
            if vr == "SQ":
                _add_attributes(child, each)
            else:
                child.text = str(each)

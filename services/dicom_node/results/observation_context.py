"""Language and observer of structured documents (PS3.16 TID 1204, TID 1001, TID 1004)."""

from collections.abc import Iterator
from typing import Final

from pydicom import Dataset
from pydicom.sr.coding import Code

from services.dicom_node.results.content_items import code, text, uid_reference
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.uids import derive_uid
from services.dicom_node.software import MANUFACTURER, SOFTWARE

_LANGUAGE: Final = Code("121049", "DCM", "Language of Content Item and Descendants")
_ENGLISH: Final = Code("en", "RFC5646", "English")
_OBSERVER_TYPE: Final = Code("121005", "DCM", "Observer Type")
_DEVICE: Final = Code("121007", "DCM", "Device")
_OBSERVER_UID: Final = Code("121012", "DCM", "Device Observer UID")
_OBSERVER_NAME: Final = Code("121013", "DCM", "Device Observer Name")
_OBSERVER_MANUFACTURER: Final = Code("121014", "DCM", "Device Observer Manufacturer")
_OBSERVER_MODEL: Final = Code("121015", "DCM", "Device Observer Model Name")
_OBSERVER_SERIAL: Final = Code("121016", "DCM", "Device Observer Serial Number")


def language() -> Dataset:
    """Texts of the document are English."""
    return code(_LANGUAGE, _ENGLISH, "HAS CONCEPT MOD")


def observation_context(context: ResultContext) -> Iterator[Dataset]:
    """The observer is a device: this software at this node."""
    yield code(_OBSERVER_TYPE, _DEVICE, "HAS OBS CONTEXT")
    yield uid_reference(_OBSERVER_UID, derive_uid("device", context.device_serial_number), "HAS OBS CONTEXT")
    yield text(_OBSERVER_NAME, SOFTWARE, "HAS OBS CONTEXT")
    yield text(_OBSERVER_MANUFACTURER, MANUFACTURER, "HAS OBS CONTEXT")
    yield text(_OBSERVER_MODEL, SOFTWARE, "HAS OBS CONTEXT")
    yield text(_OBSERVER_SERIAL, context.device_serial_number, "HAS OBS CONTEXT")

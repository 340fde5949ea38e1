"""Sends result objects by C-STORE (PS3.4 B), the same bytes each time."""

from collections.abc import Iterable
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from services.dicom_node.registry.delivery import Delivery
from services.dicom_node.send.outcomes import ABORTED, NO_CONTEXT, UNREADABLE, Outcome, of_status


def storage_contexts(deliveries: Iterable[Delivery]) -> list[PresentationContext]:
    """A context for each SOP class and transfer syntax, and for the default one, which each SCP knows (PS3.5 10.1)."""
    found = ((delivery.sop_class_uid, _transfer_syntax(delivery.path)) for delivery in deliveries)
    pairs = {(uid, syntax) for uid, syntax in found if syntax}
    defaults = {(uid, ImplicitVRLittleEndian) for uid, syntax in pairs if syntax == ExplicitVRLittleEndian}
    return [build_context(uid, syntax) for uid, syntax in sorted(pairs | defaults)]


def store(association: Association, delivery: Delivery) -> Outcome:
    """Send one object in the transfer syntax of its file, or in the default one where that alone is accepted."""
    accepted = {(str(one.abstract_syntax), one.transfer_syntax[0]) for one in association.accepted_contexts}
    syntax, uid = _transfer_syntax(delivery.path), delivery.sop_class_uid
    if syntax is None:
        return UNREADABLE
    if (uid, syntax) in accepted:
        return _outcome(association.send_c_store(delivery.path))
    if syntax == ExplicitVRLittleEndian and (uid, ImplicitVRLittleEndian) in accepted:
        return _outcome(association.send_c_store(dcmread(delivery.path)))  # which is encoded in the accepted syntax
    return NO_CONTEXT


def _outcome(response: Dataset) -> Outcome:
    return of_status(response.Status) if "Status" in response else ABORTED


def _transfer_syntax(path: Path) -> UID | None:
    try:
        return UID(read_file_meta_info(path).TransferSyntaxUID)
    except (OSError, AttributeError, ValueError):
        return None

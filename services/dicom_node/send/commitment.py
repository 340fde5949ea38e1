"""Storage commitment by the push model, as its SCU (PS3.4 J): requests by N-ACTION, reports by N-EVENT-REPORT."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pydicom import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from services.dicom_node.registry.delivery import Delivery

_REQUEST: Final = 1  # the only action type (PS3.4 J.3.2)
_EVENT_TYPES: Final = (1, 2)  # complete; failures exist (PS3.4 J.3.3)
_NO_REASON: Final = 0x0110
SUCCESS: Final = 0x0000
INVALID_ARGUMENT: Final = 0x0115
NO_SUCH_EVENT_TYPE: Final = 0x0113
PROCESSING_FAILURE: Final = 0x0110


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What a destination answers for one transaction.

    committed : pairs of SOP class and SOP instance that it takes responsibility for
    failed : reasons (PS3.3 C.14.1) by SOP instance
    """

    transaction_uid: str
    committed: frozenset[tuple[str, str]]
    failed: Mapping[str, int]


class InvalidReport(ValueError):
    """An N-EVENT-REPORT lacks what PS3.4 J.3.3 requires; `status` answers it."""

    def __init__(self, status: int) -> None:
        super().__init__(f"invalid report of storage commitment, 0x{status:04x}")
        self.status = status


def commitment_context() -> PresentationContext:
    return build_context(StorageCommitmentPushModel)


def accepts_commitment(association: Association) -> bool:
    """Whether the peer takes requests on this association."""
    return any(one.abstract_syntax == StorageCommitmentPushModel for one in association.accepted_contexts)


def request_commitment(association: Association, transaction_uid: str, deliveries: Iterable[Delivery]) -> str:
    """Ask for commitment of sent objects; the code of a refusal, or an empty text."""
    information = Dataset()
    information.TransactionUID = transaction_uid
    information.ReferencedSOPSequence = [_reference(delivery) for delivery in deliveries]
    status, _ = association.send_n_action(
        information, _REQUEST, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    if "Status" not in status:
        return "association_aborted"
    return "" if status.Status == SUCCESS else f"commitment_status_{status.Status:04x}"


def read_report(event: evt.Event) -> CommitmentReport:
    """The report of an N-EVENT-REPORT; InvalidReport where it is none."""
    if event.event_type not in _EVENT_TYPES:
        raise InvalidReport(NO_SUCH_EVENT_TYPE)
    try:
        return _read(event.event_information)
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidReport(INVALID_ARGUMENT) from error


def _read(information: Dataset) -> CommitmentReport:
    done = information.get("ReferencedSOPSequence") or ()
    failed = information.get("FailedSOPSequence") or ()
    reasons = {str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason", _NO_REASON)) for item in failed}
    pairs = {(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)) for item in done}
    committed = frozenset(pair for pair in pairs if pair[1] not in reasons)
    return CommitmentReport(str(information.TransactionUID), committed, reasons)


def _reference(delivery: Delivery) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = delivery.sop_class_uid
    item.ReferencedSOPInstanceUID = delivery.sop_instance_uid
    return item

from pathlib import Path

import pytest
from pydicom import Dataset
from pynetdicom import AE, build_role
from pynetdicom.events import Event
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ComprehensiveSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from services.dicom_node.requestor_messages import await_own_responses
from services.dicom_node.settings import Settings
from tests.dicom_node.receive.dimse_sender import CLASSES, associate, receiving, send
from tests.dicom_node.receive.folder_inbox import FolderInbox
from tests.scans import ct_slice, head, series


def settings(**values: object) -> Settings:
    return Settings.model_validate({"dicom_port": 0, **values})


@pytest.fixture
def inbox(tmp_path: Path) -> FolderInbox:
    return FolderInbox(tmp_path)


def test_stores_a_series_as_received(inbox: FolderInbox) -> None:
    files = list(series(5).values())
    with receiving(settings(), inbox) as receiver:
        sender = associate(receiver.port)
        assert sender.send_c_echo().Status == 0
        assert send(sender, files) == [0] * 5
        assert receiver.associations == 1
        sender.release()
    assert list(inbox.outcomes.values()) == ["released"]
    assert [(each.kind, each.peer) for each in inbox.transfers] == [("c-store", "CT1")]
    for number, file in enumerate(files):
        stored = inbox.stored[f"2.25.10.{number + 1}"]
        assert stored.header.instance_number == number + 1
        assert stored.path.read_bytes().endswith(file[400:])
    assert not list(inbox.incoming().iterdir())
    assert receiver.instances == {"stored": 5}


def test_rejects(inbox: FolderInbox) -> None:
    with receiving(settings(calling_ae_titles=("CT1",), max_associations_per_address=2), inbox) as receiver:
        assert associate(receiver.port, called="PACS").is_rejected
        assert associate(receiver.port, calling="CT2").is_rejected
        first, second = (associate(receiver.port) for _ in range(2))
        assert associate(receiver.port).is_rejected
        first.release()
        second.release()
    assert receiver.rejected == {
        "unknown_called_ae_title": 1, "unknown_calling_ae_title": 1, "too_many_associations": 1
    }  # fmt: skip
    assert not inbox.transfers


def test_takes_ct_of_all_classes_and_nothing_else(inbox: FolderInbox) -> None:
    with receiving(settings(), inbox) as receiver:
        ae = AE("CT1")
        for sop_class in (*CLASSES, ComprehensiveSRStorage, SegmentationStorage, SecondaryCaptureImageStorage):
            ae.add_requested_context(sop_class)
        sender = await_own_responses(ae.associate("127.0.0.1", receiver.port, ae_title="ICH"))
        accepted = [str(context.abstract_syntax) for context in sender.accepted_contexts]
        assert sorted(accepted) == sorted(CLASSES)
        assert len(sender.rejected_contexts) == 3
        files = [ct_slice(number, head(32), SOPClassUID=str(CLASSES[number])) for number in range(3)]
        assert send(sender, files) == [0] * 3
        sender.release()
    assert [each.header.sop_class_uid for each in inbox.stored.values()] == list(CLASSES)


def test_hands_reports_of_storage_commitment_on(inbox: FolderInbox) -> None:
    reports: list[tuple[int | None, str]] = []

    def on_commitment(event: Event) -> int:
        reports.append((event.event_type, event.event_information.TransactionUID))
        return 0

    report = Dataset()
    report.TransactionUID = "2.25.7"
    with receiving(settings(), inbox, on_commitment) as receiver:
        ae = AE("PACS")
        ae.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        pacs = await_own_responses(ae.associate("127.0.0.1", receiver.port, ae_title="ICH", ext_neg=[role]))
        status, _ = pacs.send_n_event_report(report, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
        assert status.Status == 0
        pacs.release()
    assert reports == [(1, "2.25.7")]
    assert not inbox.transfers


def test_statuses(inbox: FolderInbox) -> None:
    with receiving(settings(max_instance_bytes=600_000), inbox) as receiver:
        sender = associate(receiver.port)
        assert send(sender, [ct_slice(), ct_slice(), ct_slice(Modality="MR")]) == [0, 0, 0x0111]
        assert send(sender, [ct_slice(1, PixelData=None)]) == [0xA900]
        sender.release()
    assert receiver.instances == {"stored": 1, "same": 1, "conflict": 1, "no_pixel_data": 1}

from pathlib import Path

import pytest

from services.dicom_node.settings import Settings
from tests.dicom_node.receive.dimse_sender import associate, receiving, send
from tests.dicom_node.receive.folder_inbox import FolderInbox
from tests.scans import ct_slice, series


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


def test_statuses(inbox: FolderInbox) -> None:
    with receiving(settings(max_instance_bytes=600_000), inbox) as receiver:
        sender = associate(receiver.port)
        assert send(sender, [ct_slice(), ct_slice(), ct_slice(Modality="MR")]) == [0, 0, 0x0111]
        assert send(sender, [ct_slice(1, PixelData=None)]) == [0xA900]
        sender.release()
    assert receiver.instances == {"stored": 1, "same": 1, "conflict": 1, "no_pixel_data": 1}

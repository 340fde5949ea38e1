"""Result objects reach a PACS by C-STORE, and are committed, whatever the PACS does meanwhile."""

import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import cast

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ImplicitVRLittleEndian, SegmentationStorage, generate_uid
from pynetdicom import evt

from services.dicom_node.kinds import Kind
from services.dicom_node.receive.dimse import DimseReceiver
from services.dicom_node.registry.commands import resend_dead
from services.dicom_node.registry.delivery_steps import supersede_deliveries
from services.dicom_node.send.sender import destinations
from services.dicom_node.settings import Settings
from tests.dicom_node.receive.folder_inbox import FolderInbox
from tests.dicom_node.send.built import DICOM_KINDS, SOP_CLASSES, BuiltRegistry
from tests.dicom_node.send.pacs import Pacs, sop_class_uid
from tests.dicom_node.send.sending import all_at, sending, until
from tests.running import free_ports


def _dataset(path: Path) -> bytes:
    content = path.read_bytes()
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]


def test_objects_are_sent_on_one_association_and_committed(registry: BuiltRegistry) -> None:
    with Pacs().running() as pacs:
        uids = registry.add(DICOM_KINDS, destinations({"pacs": pacs.peer()}))
        with sending(registry, pacs.peer(), commitment_wait_s=10.0):
            until(all_at(registry, "committed"))
    assert set(pacs.stored) == set(uids)
    assert pacs.associations == 1
    files = {_dataset(path) for path in registry.folder.glob("assessments/*.dcm")}
    assert {content for sent in pacs.stored.values() for content in sent} == files
    assert registry.assessment_steps() == ["committed"]


def test_a_report_may_arrive_on_an_association_of_the_pacs(registry: BuiltRegistry, tmp_path: Path) -> None:
    """The receiver of the node takes it, as one AE for both."""
    with Pacs(reporting="other").running() as pacs:
        registry.add(["sr", "segmentation"], destinations({"pacs": pacs.peer()}))
        with sending(registry, pacs.peer(), commitment_timeout_s=60.0) as sender:
            settings = Settings(dicom_port=free_ports(1)[0], calling_ae_titles=("PACS",))
            receiver = DimseReceiver(settings, FolderInbox(tmp_path), sender.on_commitment)
            pacs.report_port = settings.dicom_port
            receiver.start()
            until(all_at(registry, "committed"))
            receiver.stop()
    assert len(pacs.requests) == 1


def test_without_a_report_commitment_is_requested_by_a_new_transaction(registry: BuiltRegistry) -> None:
    with Pacs(reporting="never").running() as pacs:
        registry.add(["sr"], destinations({"pacs": pacs.peer()}))
        with sending(registry, pacs.peer()):
            until(lambda: len(pacs.requests) > 1)
            assert registry.assessment_steps() == ["sent"]
            pacs.reporting = "same"
            until(all_at(registry, "committed"))
    assert len({one.TransactionUID for one in pacs.requests}) == len(pacs.requests)
    assert [len(sent) for sent in pacs.stored.values()] == [1]


@dataclass
class _Report:
    """The part of pynetdicom's event that is read."""

    event_type: int
    event_information: Dataset


def test_a_late_report_of_an_older_transaction_commits(registry: BuiltRegistry) -> None:
    """A PACS that reports at night would never be in time."""
    with Pacs(reporting="never").running() as pacs:
        registry.add(["sr"], destinations({"pacs": pacs.peer()}))
        with sending(registry, pacs.peer()) as sender:
            until(lambda: len(pacs.requests) > 2)
            late = _Report(1, pacs.result(pacs.requests[0]))
            assert sender.on_commitment(cast("evt.Event", late)) == 0x0000
            assert registry.steps("pacs") == ["committed"]
            unknown = _Report(1, pacs.result(pacs.requests[0]))
            unknown.event_information.TransactionUID = generate_uid()
            assert sender.on_commitment(cast("evt.Event", unknown)) == 0x0115
            assert sender.on_commitment(cast("evt.Event", _Report(1, Dataset()))) == 0x0115
            assert sender.on_commitment(cast("evt.Event", _Report(3, Dataset()))) == 0x0113


def test_objects_that_the_pacs_does_not_commit_are_sent_again(registry: BuiltRegistry) -> None:
    with Pacs().running() as pacs:
        lost, kept = registry.add(["sr", "segmentation"], destinations({"pacs": pacs.peer()}))
        pacs.missing.add(lost)
        with sending(registry, pacs.peer()):
            until(lambda: len(pacs.stored.get(lost, [])) > 1)
            assert registry.steps("pacs")[1] == "committed"
            pacs.missing.clear()
            until(all_at(registry, "committed"))
    assert len(pacs.stored[kept]) == 1
    assert len(set(pacs.stored[lost])) == 1, "the bytes differ"


def test_a_destination_that_is_down_gets_everything_later(registry: BuiltRegistry) -> None:
    (port,) = free_ports(1)
    pacs = Pacs(port=port)
    uids = registry.add(["sr", "text_sr"], destinations({"pacs": pacs.peer()}))
    uids += registry.add(["sr", "text_sr"], destinations({"pacs": pacs.peer()}))
    with sending(registry, pacs.peer(), send_max_refusals=1):
        until(lambda: "unreachable" in registry.codes("pacs"))
        time.sleep(0.5)  # several attempts
        assert set(registry.steps("pacs")) == {"pending"}
        with pacs.running(port):
            until(all_at(registry, "committed"))
    assert set(pacs.stored) == set(uids)


def test_a_destination_that_stays_down_beyond_patience_leaves_visible_dead_letters(registry: BuiltRegistry) -> None:
    (port,) = free_ports(1)
    pacs = Pacs(port=port)
    for _ in range(2):
        registry.add(["sr"], destinations({"pacs": pacs.peer()}))
    with sending(registry, pacs.peer(), send_patience_s=0.2):
        until(all_at(registry, "dead"))
    assert registry.codes("pacs") == ["unreachable"] * 2
    assert registry.assessment_steps() == ["built"] * 2
    assert resend_dead(registry.database) == 2
    with pacs.running(port), sending(registry, pacs.peer()):
        until(all_at(registry, "committed"))


def test_an_abort_in_the_middle_delays_the_object_that_it_met_only(registry: BuiltRegistry) -> None:
    def abort_segmentation(_: Pacs, event: evt.Event) -> int:
        if sop_class_uid(event) == SegmentationStorage and healthy.is_set() is False:
            event.assoc.abort()
        return 0x0000

    healthy = Event()
    with Pacs(store=abort_segmentation).running() as pacs:
        kinds: list[Kind] = ["sr", "segmentation", "key_objects"]
        registry.add(kinds, destinations({"pacs": pacs.peer()}))
        with sending(registry, pacs.peer()):
            until(lambda: registry.steps("pacs") == ["committed", "pending", "committed"])
            healthy.set()
            until(all_at(registry, "committed"))


@pytest.mark.parametrize("status", [0x0111, 0xB000, 0xB006, 0xB007])
def test_a_duplicate_and_a_warning_are_success(registry: BuiltRegistry, status: int) -> None:
    with Pacs(store=lambda *_: status).running() as pacs:
        (uid,) = registry.add(["sr"], destinations({"pacs": pacs.peer()}))
        pacs.stored[uid] = [b"of an earlier attempt"]
        with sending(registry, pacs.peer()):
            until(all_at(registry, "committed"))


def test_a_refusal_is_dead_after_some_attempts_and_other_kinds_arrive(registry: BuiltRegistry) -> None:
    def refuse_segmentation(_: Pacs, event: evt.Event) -> int:
        return 0xA900 if sop_class_uid(event) == SegmentationStorage else 0x0000

    with Pacs(store=refuse_segmentation).running() as pacs:
        registry.add(["sr", "segmentation"], destinations({"pacs": pacs.peer()}))
        with sending(registry, pacs.peer()):
            until(lambda: registry.steps("pacs") == ["committed", "dead"])
    assert registry.codes("pacs") == [None, "status_a900"]


def test_a_pacs_without_an_sop_class_gets_the_others(registry: BuiltRegistry) -> None:
    classes = [uid for uid in SOP_CLASSES.values() if uid != SegmentationStorage]
    with Pacs(sop_classes=classes).running() as pacs:
        registry.add(["sr", "segmentation"], destinations({"pacs": pacs.peer()}))
        with sending(registry, pacs.peer()):
            until(lambda: registry.steps("pacs") == ["committed", "dead"])
    assert registry.codes("pacs") == [None, "sop_class_not_accepted"]


def test_a_full_pacs_is_no_refusal(registry: BuiltRegistry) -> None:
    status = {"now": 0xA700}
    with Pacs(store=lambda *_: status["now"]).running() as pacs:
        registry.add(["sr"], destinations({"pacs": pacs.peer()}))
        with sending(registry, pacs.peer(), send_max_refusals=1):
            until(lambda: registry.codes("pacs") == ["status_a700"])
            status["now"] = 0x0000
            until(all_at(registry, "committed"))


def test_a_pacs_with_the_default_transfer_syntax_only_gets_the_objects(registry: BuiltRegistry) -> None:
    with Pacs(transfer_syntaxes=[ImplicitVRLittleEndian]).running() as pacs:
        (uid,) = registry.add(["sr"], destinations({"pacs": pacs.peer()}))
        with sending(registry, pacs.peer()):
            until(all_at(registry, "committed"))
    content = dcmread(BytesIO(pacs.stored[uid][0]), force=True)
    assert content.SOPInstanceUID == uid


def test_a_pacs_without_commitment_ends_at_sent(registry: BuiltRegistry) -> None:
    with Pacs(reporting="unsupported").running() as pacs:
        peer = pacs.peer(commitment=False)
        registry.add(["sr"], destinations({"pacs": peer}))
        with sending(registry, peer):
            until(all_at(registry, "sent"))
    assert registry.assessment_steps() == ["committed"]


def test_a_pacs_that_rejects_the_ae_title_is_named(registry: BuiltRegistry, caplog: pytest.LogCaptureFixture) -> None:
    with Pacs().running() as pacs:
        peer = pacs.peer(ae_title="OTHER")
        registry.add(["sr"], destinations({"pacs": peer}))
        with sending(registry, peer):
            until(lambda: registry.codes("pacs") == ["association_rejected"])
    assert "check both AE titles" in caplog.text


def test_a_destination_that_hangs_delays_no_other_one(registry: BuiltRegistry) -> None:
    release = Event()

    def hang(*_: object) -> int:
        release.wait(30.0)
        return 0x0000

    with Pacs(store=hang).running() as slow, Pacs().running() as quick:
        peers = {"slow": slow.peer(name="slow"), "quick": quick.peer(name="quick")}
        registry.add(["sr"], destinations(peers))
        with sending(registry, *peers.values()):
            until(all_at(registry, "committed", "quick"))
            assert registry.steps("slow") == ["pending"]
            until(lambda: registry.codes("slow") == ["association_aborted"])
            release.set()
            until(all_at(registry, "committed", "slow"))


def test_a_pacs_that_stops_reading_gets_the_object_later(registry: BuiltRegistry) -> None:
    """Buffers and queues are full then, and nothing answers."""
    reads = Event()
    with Pacs(stalls=reads).running() as pacs:
        registry.add(["sr"], destinations({"pacs": pacs.peer()}))
        registry.enlarge(20_000_000)
        with sending(registry, pacs.peer(), send_timeout_s=0.5):
            until(lambda: registry.codes("pacs") == ["association_aborted"])
            reads.set()
            until(all_at(registry, "committed"))


def test_superseded_objects_are_sent_no_more(registry: BuiltRegistry) -> None:
    (port,) = free_ports(1)
    pacs = Pacs(port=port)
    old = registry.add(["sr"], destinations({"pacs": pacs.peer()}))
    with registry.database.write() as connection:
        supersede_deliveries(connection, 1)
    new = registry.add(["sr"], destinations({"pacs": pacs.peer()}), number=2)
    with pacs.running(port), sending(registry, pacs.peer()):
        until(lambda: registry.steps("pacs") == ["superseded", "committed"])
    assert list(pacs.stored) == new
    assert old[0] not in pacs.stored


def test_an_unknown_transaction_commits_nothing(registry: BuiltRegistry) -> None:
    with Pacs(reporting="never").running() as pacs:
        registry.add(["sr"], destinations({"pacs": pacs.peer()}))
        with sending(registry, pacs.peer(), commitment_timeout_s=60.0, commitment_wait_s=5.0):
            until(lambda: bool(pacs.requests))
            pacs.requests[0].TransactionUID = generate_uid()
            pacs.report_latest()
            time.sleep(0.3)
            assert registry.steps("pacs") == ["sent"]

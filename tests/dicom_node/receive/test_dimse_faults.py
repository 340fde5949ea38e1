"""Senders that fail, lie or attack: each harms at most its own association, and nothing of it counts as stored."""

import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage
from pynetdicom.association import Association

from services.dicom_node.receive.dimse import DimseReceiver
from services.dicom_node.settings import Settings
from tests.dicom_node.receive.dimse_sender import associate, receiving, send
from tests.dicom_node.receive.folder_inbox import FolderInbox
from tests.scans import ct_slice, head

COMMAND, LAST = 1, 2
SLOW_SENDER = """
import sys
from io import BytesIO
from pydicom import dcmread
from tests.dicom_node.receive.dimse_sender import associate, send
from tests.scans import ct_slice, head
sender = associate(int(sys.argv[1]))
for number in range(300):
    assert send(sender, [ct_slice(number % 9, head(32), SOPInstanceUID=f"2.25.10.{number + 1}")]) == [0]
    if number == 69:
        print("70", flush=True)
        sys.stdin.read()
"""


def settings(**values: object) -> Settings:
    return Settings.model_validate({"dicom_port": 0, **values})


@pytest.fixture
def inbox(tmp_path: Path) -> FolderInbox:
    return FolderInbox(tmp_path)


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def pdu(*fragments: bytes, context: int = 1) -> bytes:
    items = b"".join(struct.pack(">IB", len(fragment) + 1, context) + fragment for fragment in fragments)
    return b"\x04\0" + struct.pack(">I", len(items)) + items


def store_request(instance: str = "2.25.10.1") -> bytes:
    """The command set of C-STORE-RQ."""

    def text(element: int, value: str) -> bytes:
        data = value.encode() + b"\0" * (len(value) % 2)
        return struct.pack("<HHI", 0, element, len(data)) + data

    def short(element: int, value: int) -> bytes:
        return struct.pack("<HHIH", 0, element, 2, value)

    parts = [text(2, CTImageStorage), short(0x100, 1), short(0x110, 1), short(0x700, 0), short(0x800, 1)]
    elements = b"".join(parts) + text(0x1000, instance)
    return struct.pack("<HHII", 0, 0, 4, len(elements)) + elements


def write(sender: Association, *data: bytes) -> None:
    """Bytes on the connection of an association."""
    assert sender.dul.socket is not None
    for each in data:
        sender.dul.socket.send(each)


def is_served(receiver: DimseReceiver) -> bool:
    sender = associate(receiver.port)
    echoed = bool(sender.send_c_echo().Status == 0)
    sender.release()
    return echoed


def test_a_killed_sender_leaves_an_aborted_transfer(inbox: FolderInbox) -> None:
    with receiving(settings(), inbox) as receiver:
        command = [sys.executable, "-c", SLOW_SENDER, str(receiver.port)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sender:
            assert sender.stdout is not None
            assert sender.stdout.readline() == b"70\n"
            sender.kill()
        wait_until(lambda: list(inbox.outcomes.values()) == ["aborted"])
        wait_until(lambda: receiver.associations == 0)
    assert len(inbox.stored) == 70


def test_an_aborted_association_stores_no_half_instance(inbox: FolderInbox) -> None:
    with receiving(settings(), inbox) as receiver:
        sender = associate(receiver.port)
        assert send(sender, [ct_slice()]) == [0]
        context = next(each.context_id for each in sender.accepted_contexts if each.abstract_syntax == CTImageStorage)
        assert context is not None
        write(sender, pdu(bytes([COMMAND | LAST]) + store_request(), bytes(1000), context=context))
        wait_until(lambda: len(list(inbox.incoming().iterdir())) == 1)
        sender.abort()
        wait_until(lambda: not list(inbox.incoming().iterdir()))
        assert list(inbox.outcomes.values()) == ["aborted"]
    assert len(inbox.stored) == 1


def test_silence_ends_in_an_aborted_transfer(inbox: FolderInbox) -> None:
    with receiving(settings(association_idle_s=0.2), inbox) as receiver:
        sender = associate(receiver.port)
        assert send(sender, [ct_slice()]) == [0]
        wait_until(lambda: list(inbox.outcomes.values()) == ["aborted"])
        assert is_served(receiver)


@pytest.mark.parametrize(
    "sent",
    [
        pdu(b"\0data before a command"),
        pdu(b""),
        pdu(bytes([COMMAND | LAST]) + b"\xff" * 40),
        pdu(bytes([COMMAND | LAST]) + store_request("2.25.x"), b"\0"),
        pdu(bytes([COMMAND | LAST]) + store_request(), bytes([COMMAND | LAST]) + store_request()),
        pdu(*[bytes([COMMAND]) + bytes(30_000)] * 4),
        pdu(bytes([COMMAND | LAST]) + store_request(), b"\0", context=255),
        b"\x04\0\xff\xff\xff\xff",
        b"\x04\0\x00\x00\x00\x05\xff\xff\xff\xff\x01",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["data first", "empty", "malformed", "bad UID", "two commands", "long", "context", "4 GB", "overrun", "HTTP"],
)
def test_a_broken_message_ends_its_association_alone(inbox: FolderInbox, sent: bytes) -> None:
    with receiving(settings(), inbox) as receiver:
        other, sender = associate(receiver.port), associate(receiver.port)
        write(sender, sent)
        wait_until(lambda: receiver.associations == 1)
        assert send(other, [ct_slice()]) == [0]
        other.release()
    assert list(inbox.outcomes.values()) == ["released"]
    assert not list(inbox.incoming().iterdir())


def test_messages_that_nobody_waits_for_are_bounded(inbox: FolderInbox) -> None:
    with receiving(settings(), inbox) as receiver:
        sender = associate(receiver.port)
        echo = b"\0\0\2\0\x12\0\0\0" + b"1.2.840.10008.1.1\0" + struct.pack("<HHIH", 0, 0x100, 2, 0x30)
        echo += struct.pack("<HHIH", 0, 0x110, 2, 1) + struct.pack("<HHIH", 0, 0x800, 2, 0x101)
        fragment = bytes([COMMAND | LAST]) + struct.pack("<HHII", 0, 0, 4, len(echo)) + echo
        write(sender, *[pdu(*[fragment] * 500)] * 20)
        wait_until(lambda: receiver.associations == 0)
        assert is_served(receiver)


def test_a_large_instance_gets_its_status_and_no_disk(inbox: FolderInbox) -> None:
    with receiving(settings(max_instance_bytes=100_000), inbox) as receiver:
        sender = associate(receiver.port)
        assert send(sender, [ct_slice(), ct_slice(1, head(32))]) == [0xA700, 0]
        inbox.max_bytes = 1
        assert send(sender, [ct_slice(2, head(32))]) == [0xA700]
        sender.release()
    assert list(inbox.stored) == ["2.25.10.2"]
    assert list(inbox.outcomes.values()) == ["released"]


def test_silent_connections_do_not_keep_others_out(inbox: FolderInbox) -> None:
    with receiving(settings(max_associations=2), inbox) as receiver:
        silent = [socket.create_connection(("127.0.0.1", receiver.port)) for _ in range(10)]
        assert is_served(receiver)
        for each in silent:
            each.close()


def test_connections_without_a_thread_do_not_count_for_ever(inbox: FolderInbox) -> None:
    """A stack that no machine has fails to start a thread, as a limit of processes does."""
    with receiving(settings(), inbox) as receiver:
        usual = threading.stack_size(1 << 46)
        try:
            for _ in range(200):
                with socket.create_connection(("127.0.0.1", receiver.port)) as connection:
                    assert connection.recv(1) == b""
        finally:
            threading.stack_size(usual)
        assert is_served(receiver)


def test_sixteen_associations_at_a_time(inbox: FolderInbox) -> None:
    statuses: list[int] = []

    def store(number: int) -> None:
        sender = associate(receiver.port, calling=f"CT{number}")
        files = [ct_slice(index, head(32), SOPInstanceUID=f"2.25.{number}.{index + 1}") for index in range(3)]
        statuses.extend(send(sender, files))
        sender.release()

    with receiving(settings(), inbox) as receiver:
        threads = [threading.Thread(target=store, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: receiver.associations == 0)
    assert statuses == [0] * 48
    assert len(inbox.stored) == 48
    assert list(inbox.outcomes.values()) == ["released"] * 16


def test_stopping_aborts_open_transfers(inbox: FolderInbox) -> None:
    with receiving(settings(), inbox) as receiver:
        sender = associate(receiver.port)
        assert send(sender, [ct_slice()]) == [0]
        port = receiver.port
    assert list(inbox.outcomes.values()) == ["aborted"]
    assert not receiver.is_running()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))

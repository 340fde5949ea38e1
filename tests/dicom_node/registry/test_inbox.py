import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.dicom_node.inbox import Added, OutOfSpace
from tests.dicom_node.registries import GIB, Node

FILES = "SELECT path FROM instances WHERE path IS NOT NULL ORDER BY id"


def stored(node: Node) -> list[Path]:
    return sorted((node.path / "instances").rglob("*.dcm"))


def test_an_instance_is_stored_under_names_without_uids(node: Node) -> None:
    transfer = node.registry.inbox.begin_transfer("c-store", "CT1")
    assert node.receive(transfer, 1, b"pixels") is Added.STORED
    (file,) = stored(node)
    assert file.read_bytes() == b"pixels"
    assert "2.25" not in str(file.relative_to(node.path))
    assert node.rows(FILES) == [(str(file.relative_to(node.path)),)]
    assert list((node.path / "incoming").iterdir()) == []
    modes = {path.stat().st_mode & 0o777 for path in (file, file.parent, file.parent.parent)}
    assert modes == {0o600, 0o700}


def test_a_repeated_instance_changes_nothing(node: Node) -> None:
    transfer = node.registry.inbox.begin_transfer("c-store", "CT1")
    node.receive(transfer, 1)
    before = node.rows("SELECT * FROM instances"), node.rows("SELECT * FROM series"), stored(node)
    node.clocks.pass_s(5)
    assert node.receive(transfer, 1) is Added.SAME
    assert (node.rows("SELECT * FROM instances"), node.rows("SELECT * FROM series"), stored(node)) == before


def test_the_first_of_two_contradicting_instances_is_kept_and_the_conflict_counted(node: Node) -> None:
    transfer = node.registry.inbox.begin_transfer("c-store", "CT1")
    node.receive(transfer, 1, b"first")
    assert node.receive(transfer, 1, b"other") is Added.CONFLICT
    assert [file.read_bytes() for file in stored(node)] == [b"first"]
    assert node.rows("SELECT conflicts FROM series") == [(1,)]


def test_one_uid_in_two_series_is_two_instances(node: Node) -> None:
    transfer = node.registry.inbox.begin_transfer("c-store", "CT1")
    node.receive(transfer, 1)
    assert node.receive(transfer, 1, b"other", series_instance_uid="2.25.99") is Added.STORED


def test_a_file_that_was_removed_is_taken_again(node: Node) -> None:
    """A late slice of a series whose files are gone needs all of them, in whatever order they come."""
    transfer = node.registry.inbox.begin_transfer("c-store", "CT1")
    node.receive(transfer, 1)
    with node.registry.database.write() as connection:
        connection.execute("UPDATE instances SET path = NULL")
    assert node.receive(transfer, 1) is Added.SAME
    assert len(node.rows(FILES)) == 1


def test_the_header_of_the_first_instance_and_the_times_are_kept(node: Node) -> None:
    transfer = node.registry.inbox.begin_transfer("c-store", "CT1")
    node.receive(transfer, 3, series_description="first")
    node.clocks.pass_s(10)
    node.receive(transfer, 1, series_description="second")
    ((header, waiting, last_s),) = node.rows("SELECT header, waiting, last_received_s FROM series")
    assert json.loads(header)["series_description"] == "first"
    assert (waiting, last_s) == (1, 10)


def test_a_number_of_instances_may_be_known_before_the_first(node: Node) -> None:
    node.registry.inbox.expect("2.25.1", "2.25.1.2", 28)
    assert node.rows("SELECT expected, waiting, header FROM series") == [(28, 0, None)]
    node.receive(node.registry.inbox.begin_transfer("pull", "pacs"), 1)
    assert node.rows("SELECT expected, waiting FROM series") == [(28, 1)]


def test_a_transfer_ends_once(node: Node) -> None:
    inbox = node.registry.inbox
    first = inbox.begin_transfer("c-store", "CT1")
    second = inbox.begin_transfer("stow-rs", "site")
    inbox.end_transfer(first, "aborted")
    inbox.end_transfer(first, "released")
    assert node.rows("SELECT id, kind, peer, outcome, last_begun FROM transfers") == [
        (first.id, "c-store", "CT1", "aborted", second.id),
        (second.id, "stow-rs", "site", None, None),
    ]


def test_many_threads_add_at_once(node: Node) -> None:
    def send(series: int) -> list[Added]:
        transfer = node.registry.inbox.begin_transfer("c-store", "CT1")
        uid = f"2.25.7.{series % 4}"
        return [node.receive(transfer, number, series_instance_uid=uid) for number in range(20)]

    with ThreadPoolExecutor(8) as pool:
        became = [one for added in pool.map(send, range(8)) for one in added]
    assert sorted(one.name for one in became) == ["SAME"] * 80 + ["STORED"] * 80
    assert node.rows("SELECT count(*), count(DISTINCT path) FROM instances") == [(80, 80)]
    assert len(stored(node)) == 80


def test_the_error_of_one_thread_is_not_that_of_others(node: Node) -> None:
    transfer = node.registry.inbox.begin_transfer("c-store", "CT1")
    with pytest.raises(sqlite3.IntegrityError):
        node.receive(transfer, 1, sop_class_uid=None)
    assert stored(node) == []
    assert node.receive(transfer, 2) is Added.STORED


def test_a_quota_refuses_with_limit_and_remedy(tmp_path: Path) -> None:
    node = Node(tmp_path, quota_bytes=1000)
    transfer = node.registry.inbox.begin_transfer("c-store", "CT1")
    node.registry.inbox.reserve(1000)
    node.receive(transfer, 1, b"0" * 600)
    node.receive(transfer, 1, b"0" * 600)
    node.registry.inbox.reserve(400)
    with pytest.raises(OutOfSpace, match=r"quota of 1000 bytes .* ICH_NODE_QUOTA_BYTES"):
        node.registry.inbox.reserve(401)
    with pytest.raises(OutOfSpace, match="quota"):
        node.open().inbox.reserve(401)
    node.close()


def test_the_disk_keeps_free_bytes(node: Node) -> None:
    space = node.registry.space
    space._min_free_bytes = space.usage().free_bytes + GIB
    with pytest.raises(OutOfSpace, match=r"1\.\d+ GiB|GiB left, .* ICH_NODE_MIN_FREE_BYTES"):
        node.registry.inbox.reserve(1)

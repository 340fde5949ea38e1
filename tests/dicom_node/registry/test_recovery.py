from services.dicom_node.inbox import Added
from services.dicom_node.registry.recovery import Repairs, recover
from tests.dicom_node.registries import Node

WAITING = "SELECT last_received_s FROM series WHERE waiting"


def test_open_transfers_end_as_aborted(node: Node) -> None:
    node.registry.inbox.begin_transfer("c-store", "CT1")
    node.open()
    assert node.rows("SELECT outcome, last_begun FROM transfers") == [("aborted", 1)]


def test_files_that_no_row_names_are_removed(node: Node) -> None:
    node.receive_series([1])
    (known,) = (node.path / "instances").rglob("*.dcm")
    (known.parent / "orphan.dcm").write_bytes(b"committed to no row")
    (node.path / "instances" / "other").mkdir()
    (node.path / "instances" / "other" / "orphan.dcm").write_bytes(b"")
    (node.path / "incoming" / "part").write_bytes(b"half")
    (node.path / "assessments" / "77").mkdir()
    node.open()
    assert list((node.path / "instances").rglob("*")) == [known.parent, known]
    assert list((node.path / "incoming").iterdir()) == list((node.path / "assessments").iterdir()) == []
    registry = node.registry
    assert recover(registry.database, registry.folder, registry.clock) == Repairs(0, 0)


def test_a_lost_file_is_noted_and_may_come_again(node: Node) -> None:
    node.receive_series([1, 2])
    next((node.path / "instances").rglob("*.dcm")).unlink()
    node.open()
    assert node.rows("SELECT count(path) FROM instances") == [(1,)]
    transfer = node.registry.inbox.begin_transfer("c-store", "CT1")
    assert [node.receive(transfer, number) for number in (1, 2)] == [Added.SAME, Added.SAME]
    assert node.rows("SELECT count(path) FROM instances") == [(2,)]


def test_the_clock_goes_on_over_a_restart(node: Node) -> None:
    node.receive_series([1])
    node.clocks.pass_s(100)
    assert node.open().clock.now_s() == 100
    assert node.rows(WAITING) == [(0,)]


def test_after_a_reboot_the_quiet_time_restarts(node: Node) -> None:
    """Also where the wall clock jumped meanwhile: a series neither times out early nor waits for ever."""
    node.receive_series([1])
    node.clocks.pass_s(5)
    node.clocks.reboot()
    node.clocks.wall_s += 10 * 365 * 86_400
    registry = node.open()
    assert node.rows(WAITING) == [(registry.clock.now_s(),)]
    assert registry.clock.now_s() == 86_400, "between boots, a day at most"


def test_a_jump_of_the_wall_clock_moves_nothing(node: Node) -> None:
    node.clocks.wall_s -= 1e8
    node.clocks.boot_s += 3
    assert node.registry.clock.now_s() == 3
    node.clocks.wall_s += 1e9
    assert node.registry.clock.now_s() == 3

import json
import shutil
from pathlib import Path

import pytest

from services.gateway.audit.events import system_event
from services.gateway.audit.follow import Follower, Position, read_position, write_position
from tests.gateway.audit.factories import edit_lines, running_log, write_log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def hashes_of(path: Path) -> list[str]:
    return [json.loads(line)["hash"] for line in path.read_text().splitlines() if line.endswith('"}')]


def rest(follower: Follower) -> list[str]:
    """The hashes of all lines that the follower reads."""
    found: list[str] = []
    while lines := follower.next_batch().lines:
        found += [line.link.hash for line, _ in lines]
    return found


def test_lines_are_read_once_in_their_order_and_as_they_are(path: Path) -> None:
    follower = Follower(path, None)
    write_log(path, 3)
    lines = follower.next_batch().lines
    assert [raw for _, raw in lines] == path.read_bytes().splitlines()
    assert follower.next_batch().lines == []
    write_log(path, 1)
    assert rest(follower) == hashes_of(path)[5:]
    assert follower.backlog_bytes() == 0


def test_a_batch_is_bounded(path: Path) -> None:
    write_log(path, 3000)
    follower = Follower(path, None)
    batch = follower.next_batch()
    assert 200_000 < sum(len(raw) for _, raw in batch.lines) < 300_000
    assert len(batch.lines) + len(rest(follower)) == 3002


def test_rotation_is_followed(path: Path) -> None:
    with running_log(path, max_bytes=20_000, keep=50) as log:
        follower = Follower(path, None)
        found = rest(follower)
        for number in range(500):
            log.post(system_event("read", number=number))
        while (lines := rest(follower)) or log._queue.qsize():
            found += lines
    found += rest(follower)
    files = sorted(path.parent.glob("audit.jsonl.*"), key=lambda file: -int(file.suffix[1:]))
    assert len(files) > 1
    assert found == [one for file in (*files, path) for one in hashes_of(file)]


def test_a_position_is_kept_over_restarts_and_renames(path: Path, tmp_path: Path) -> None:
    write_log(path, 3)
    follower = Follower(path, None)
    follower.next_batch()
    store = tmp_path / "audit.syslog"
    assert follower.position
    write_position(store, follower.position)
    assert store.stat().st_mode & 0o777 == 0o600
    path.rename(tmp_path / "audit.jsonl.1")
    write_log(path, 2)
    assert rest(Follower(path, read_position(store))) == hashes_of(path)


def test_a_copied_log_is_found_by_its_hash(path: Path, tmp_path: Path) -> None:
    write_log(path, 3)
    follower = Follower(path, None)
    follower.next_batch()
    write_log(path, 2)
    (tmp_path / "copy").mkdir()
    copy = Path(shutil.copy(path, tmp_path / "copy"))
    assert rest(Follower(copy, follower.position)) == hashes_of(path)[5:]


def test_a_hash_is_found_wherever_it_lies_in_a_large_copy(path: Path) -> None:
    write_log(path, 9000)
    lines = path.read_bytes().splitlines(keepends=True)
    assert path.stat().st_size > 2 * 1024**2
    found = [json.loads(line)["hash"] for line in lines]
    for number in (0, 1, len(lines) // 2, len(lines) - 2):
        follower = Follower(path, Position(found[number], "0" * 16, 0, 0, 0, 0))
        assert follower.next_batch().lines[0][0].link.hash == found[number + 1]
    places = [sum(map(len, lines[:number])) for number in range(len(lines))]
    (first,) = [number for number, place in enumerate(places[1:]) if places[number] < 1024**2 <= place]
    follower = Follower(path, Position(found[first], "0" * 16, 0, 0, 0, 0))  # its line crosses the first MiB
    assert follower.next_batch().lines[0][0].link.hash == found[first + 1]


def test_a_file_that_was_cut_and_written_on_is_read_anew(path: Path) -> None:
    write_log(path, 3)
    follower = Follower(path, None)
    follower.next_batch()
    edit_lines(path, lambda lines: lines[:-2])  # a failed write takes lines back
    write_log(path, 1)
    assert rest(follower) == hashes_of(path), "from its beginning, since the last known line is gone"


def test_lines_that_rotation_deleted_are_counted(path: Path) -> None:
    with running_log(path, max_bytes=20_000, keep=1) as log:
        follower = Follower(path, None)
        while not follower.next_batch().lines:
            pass
        last = follower.position
        assert last
        for number in range(900):
            log.post(system_event("read", number=number))
    batch = follower.next_batch()
    assert batch.missing == batch.lines[0][0].link.sequence - last.sequence - 1 > 100


def test_incomplete_lines_are_waited_for_and_foreign_ones_skipped(path: Path) -> None:
    write_log(path, 1)
    whole = path.read_bytes()
    path.write_bytes(b"noise\n" + whole[:-10])
    follower = Follower(path, None)
    assert rest(follower) == hashes_of(path)[:2]
    path.write_bytes(b"noise\n" + whole)
    assert len(rest(follower)) == 1


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"hash":"x","chain":"c","sequence":1,"device":1,"inode":1,"offset":-1}', "\x00\xff"],
)
def test_a_damaged_position_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "p").write_text(content, encoding="latin-1")
    assert read_position(tmp_path / "p") is None
    assert read_position(tmp_path / "missing") is None


def test_a_position_round_trips(tmp_path: Path) -> None:
    position = Position("a" * 64, "c" * 16, 7, 1, 2, 99)
    write_position(tmp_path / "p", position)
    write_position(tmp_path / "p", position)
    assert read_position(tmp_path / "p") == position
    assert [each.name for each in tmp_path.iterdir()] == ["p"]

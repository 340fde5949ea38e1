import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.gateway.audit.events import system_event
from services.gateway.audit.file import AuditFileUnusable, lock
from services.gateway.audit.heads import HeadFile, Syslog, head_destination
from services.gateway.audit.log import MAX_QUEUED, AuditLog
from services.gateway.audit.refusals import LINES_PER_PERIOD
from services.gateway.audit.verify import read_heads, verify
from tests.gateway.audit.factories import (
    START,
    KeptHeads,
    breaks,
    breaks_of,
    full_disk,
    options_of,
    running_log,
    write_log,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "audit.jsonl"


def fields_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def actions_of(path: Path) -> list[str]:
    return [line["action"] for line in fields_of(path)]


def last_actions_of(path: Path, count: int) -> list[str]:
    """The actions of the last lines; those before may be incomplete."""
    return [json.loads(line)["action"] for line in path.read_text().splitlines()[-count:]]


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 100)


def test_a_log_begins_with_start_and_ends_with_stop(path: Path) -> None:
    write_log(path, 2)
    assert actions_of(path) == ["start", "read", "read", "stop"]
    assert [line["seq"] for line in fields_of(path)] == [0, 1, 2, 3]


def test_the_file_and_its_folder_are_private(path: Path) -> None:
    before = os.umask(0)
    try:
        write_log(path, 1)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_an_older_file_becomes_private(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o644)
    write_log(path, 1)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_recorded_line_is_in_the_file(path: Path) -> None:
    with running_log(path) as log:
        assert await log.record(system_event("read"))
        assert actions_of(path) == ["start", "read"]


def _post_many(log: AuditLog, count: int) -> None:
    for _ in range(count):
        log.post(system_event("expire"))


async def test_concurrent_requests_and_threads_form_one_chain(path: Path) -> None:
    with running_log(path) as log:
        threads = [threading.Thread(target=_post_many, args=(log, 50)) for _ in "ab"]
        for thread in threads:
            thread.start()
        written = await asyncio.gather(*(log.record(system_event("read", number=number)) for number in range(500)))
        for thread in threads:
            thread.join()
    assert written == [True] * 500
    assert breaks_of(path) == []
    lines = fields_of(path)
    assert len(lines) == 602
    assert [line["number"] for line in lines if "number" in line] == list(range(500)), "in the order of the requests"


def test_a_file_rotates_by_its_size_and_keeps_the_chain(path: Path) -> None:
    write_log(path, 4000, max_bytes=100_000, keep=3)
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["audit.jsonl", *(f"audit.jsonl.{number}" for number in (1, 2, 3))]
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert {actions_of(file)[0] for file in files} == {"rotate"}
    assert all(file.stat().st_size < 200_000 for file in files), "at most a batch of lines beyond the limit"
    assert breaks_of(path) == []


def test_a_start_after_a_rotation_continues_the_rotated_file(path: Path) -> None:
    write_log(path, 10)
    path.rename(path.with_name("audit.jsonl.1"))
    write_log(path, 10)
    assert breaks_of(path) == []
    assert fields_of(path)[0]["prev"] == fields_of(path.with_name("audit.jsonl.1"))[-1]["hash"]


def _remove(path: Path, *, replace: bool) -> None:
    path.unlink()
    if replace:
        path.touch()


@pytest.mark.parametrize("replace", [True, False])
async def test_a_file_that_is_removed_or_replaced_meanwhile_shows(path: Path, *, replace: bool) -> None:
    with running_log(path) as log:
        await log.record(system_event("read"))
        _remove(path, replace=replace)
        await log.record(system_event("read"))
    assert actions_of(path) == ["reopen", "read", "stop"]
    assert breaks_of(path) == ["audit.jsonl:1 the beginning of the file was removed"]


async def test_a_file_that_is_cut_meanwhile_shows(path: Path) -> None:
    with running_log(path) as log:
        for _ in range(5):
            await log.record(system_event("read"))
        _cut(path)
        await log.record(system_event("read"))
    assert breaks_of(path)


def _errors(registry: CollectorRegistry) -> float:
    return registry.get_sample_value("ich_audit_errors_total") or 0.0


async def test_a_full_disk_loses_lines_counts_them_and_leaves_the_chain_whole(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_log(path, 10_000)  # larger than the other files of this process
    registry = CollectorRegistry()
    log = AuditLog(options_of(path), registry)
    with log.running(START):
        with full_disk(path):
            assert [await log.record(system_event("read", number=number)) for number in range(4)] == [False] * 4
        assert await log.record(system_event("read", number=4))
        assert not log.failing
    assert breaks_of(path) == []
    assert [(line["action"], line.get("lines")) for line in fields_of(path)[-4:]] == [
        ("start", None), ("lost", 4), ("read", None), ("stop", None),
    ]  # fmt: skip
    assert _errors(registry) == 4, "one for each write"
    notes = [finding.text for finding in verify([path]).findings]
    assert notes == ["4 lines could not be written before this one"]
    (failed, again) = [record.getMessage() for record in caplog.records]
    assert "cannot be written (File too large)" in failed
    assert "requests are served without a line" in failed
    assert again == "the audit log is written again"


@pytest.mark.parametrize("torn", [False, True])
async def test_a_start_on_a_full_disk_is_written_later(path: Path, *, torn: bool) -> None:
    write_log(path, 10_000)
    if torn:
        _cut(path)
    log = AuditLog(options_of(path), CollectorRegistry())
    with full_disk(path):
        running = log.running(START)
        running.__enter__()
    assert log.failing
    assert await log.record(system_event("read"))
    running.__exit__(None, None, None)
    assert last_actions_of(path, 3) == ["start", "read", "stop"]
    assert breaks_of(path) == []


def test_a_rotation_that_fails_keeps_the_lines_in_the_file(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running_log(path, max_bytes=1000, keep=1) as log:
        path.with_name("audit.jsonl.1").mkdir()  # where the rotated file must be
        for number in range(2000):
            log.post(system_event("read", number=number))
    assert len(actions_of(path)) == 2002
    assert breaks(verify([path])) == []
    assert [record.getMessage() for record in caplog.records] == [
        f"the audit log cannot rotate (Is a directory): {path}"
    ]


async def test_guesses_of_keys_beyond_the_limit_are_one_line_with_their_number(path: Path) -> None:
    with running_log(path) as log:
        for _ in range(LINES_PER_PERIOD + 50):
            assert await log.record(system_event("refuse_key"))
        assert await log.record(system_event("read"))
    lines = fields_of(path)
    assert len(lines) == LINES_PER_PERIOD + 4
    assert [(line["action"], line.get("left_out")) for line in lines[-3:]] == [
        ("read", None), ("refuse_key", 50), ("stop", None),
    ]  # fmt: skip


async def test_a_disk_that_does_not_answer_delays_a_request_for_its_time_only(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running_log(path, timeout_s=0.2) as log:
        with log._writer._writing:  # a write that hangs
            assert not await log.record(system_event("read"))
            assert log.failing
            for _ in range(MAX_QUEUED + 5):
                log.post(system_event("expire"))
        while not await log._written(None):  # the queue is empty
            pass
        with log._writer._writing:
            assert not await log.record(system_event("list"))
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1, "one a minute"
    assert actions_of(path).count("read") == 1, "the line comes late"
    assert actions_of(path).count("expire") == MAX_QUEUED
    assert [line["lines"] for line in fields_of(path) if line["action"] == "lost"] == [5]
    assert breaks_of(path) == []


async def test_an_event_after_the_end_is_not_written(path: Path) -> None:
    with running_log(path) as log:
        pass
    log.post(system_event("read"))
    assert actions_of(path) == ["start", "stop"]


@pytest.mark.parametrize("place", ["folder", "link", "under a file"])
def test_a_path_that_is_no_file_is_refused_by_name(tmp_path: Path, place: str) -> None:
    path = tmp_path / "audit.jsonl"
    if place == "folder":
        path.mkdir()
    elif place == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.touch()
        path = path / "audit.jsonl"
    with pytest.raises(AuditFileUnusable, match=f"^{path}: .*ICH_GATEWAY_AUDIT_FILE"), running_log(path):
        pass


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "audit.jsonl")
    with pytest.raises(AuditFileUnusable, match="must be a regular file"), running_log(tmp_path / "audit.jsonl"):
        pass


LOCK = "import sys; from pathlib import Path; from services.gateway.audit.file import lock; lock(Path(sys.argv[1]))"


def test_a_second_process_is_refused_until_the_first_one_ends(tmp_path: Path) -> None:
    path = tmp_path / "audit.settings"
    descriptor = lock(path)
    second = [sys.executable, "-c", LOCK, str(path)]
    done = subprocess.run(second, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "another gateway writes this audit log; give each its own ICH_GATEWAY_AUDIT_FILE" in done.stderr
    os.close(descriptor)
    assert subprocess.run(second, check=False).returncode == 0


def test_heads_are_published_at_start_and_at_stop(path: Path) -> None:
    heads = KeptHeads()
    write_log(path, 5, head=heads)
    published = [json.loads(head) for head in heads.heads]
    assert published[-1]["seq"] == 6
    assert published[-1]["hash"] == fields_of(path)[-1]["hash"]
    assert len({head["chain"] for head in published}) == 1


def test_heads_are_published_at_intervals_with_new_lines_only(path: Path) -> None:
    heads = KeptHeads()
    with running_log(path, head=heads, head_interval_s=0.01) as log:
        for number in range(3):
            log.post(system_event("read"))
            while not any(json.loads(head)["seq"] == number + 1 for head in list(heads.heads)):
                time.sleep(0.01)
        time.sleep(0.05)
    sequences = [json.loads(head)["seq"] for head in heads.heads]
    assert sequences == sorted(set(sequences))


def test_a_file_of_heads_is_private_and_grows(path: Path, tmp_path: Path) -> None:
    head = tmp_path / "elsewhere" / "head.jsonl"
    for _ in range(2):
        write_log(path, 1, head=HeadFile(head))
    assert head.stat().st_mode & 0o777 == 0o600
    found = read_heads(head)
    assert len({each.chain for each in found}) == 2
    assert breaks(verify([path], found)) == []


def test_a_head_that_cannot_be_published_is_counted_and_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    log = AuditLog(options_of(path, head=HeadFile(path.parent / "audit.jsonl" / "head")), registry)
    with log.running(START):
        pass
    assert _errors(registry) >= 1
    assert "the head of the audit log cannot be published" in caplog.text
    assert actions_of(path) == ["start", "stop"]


def test_syslog_gets_heads_by_a_socket(path: Path, tmp_path: Path) -> None:
    address = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(address)
        server.settimeout(10)
        write_log(path, 1, head=head_destination(f"syslog:{address}"))
        message = server.recv(2000)
    assert message.startswith(b'<85>ich-audit: {"time":')
    (tmp_path / "syslog").write_bytes(message)
    assert breaks(verify([path], read_heads(tmp_path / "syslog"))) == []


def test_syslog_gets_heads_by_udp(path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        write_log(path, 1, head=Syslog(server.getsockname()))
        assert b"ich-audit" in server.recv(2000)


def test_a_missing_syslog_server_keeps_the_log_running(path: Path, tmp_path: Path) -> None:
    write_log(path, 1, head=head_destination(f"syslog:{tmp_path / 'none'}"))
    assert actions_of(path) == ["start", "read", "stop"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("/audit/head", HeadFile), ("syslog:/dev/log", Syslog), ("syslog://host:1514", Syslog), ("syslog://host", Syslog)],
)
def test_a_destination_is_a_path_or_syslog(text: str, kind: type) -> None:
    assert isinstance(head_destination(text), kind)


@pytest.mark.parametrize("text", ["syslog:", "syslog:log", "syslog://host/path", "syslog://host:none"])
def test_another_destination_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"syslog|[Pp]ort"):
        head_destination(text)

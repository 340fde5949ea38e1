import threading
from pathlib import Path

import pytest

from services.gateway.backup.errors import BackupError
from services.gateway.backup.snapshot import locked, snapshot
from services.gateway.jobs.store import JobStore
from tests.gateway.backup.stores import ATTACHMENTS, content, filled_store, live_a_little
from tests.gateway.jobs.factories import unsynced

SNAPSHOTS = 30
JOBS = 12
SENDERS = ("eve", "max")


def test_a_snapshot_of_a_quiet_store_is_the_store(tmp_path: Path) -> None:
    filled_store(tmp_path)
    with snapshot(tmp_path) as folder:
        assert content(folder) == content(tmp_path)
        assert {path.stat().st_nlink for path in folder.rglob("*") if path.is_file()} == {2}  # links, no copies
    assert not list(tmp_path.glob(".snapshot-*"))


def test_an_upload_that_was_not_accepted_is_left_out(tmp_path: Path) -> None:
    store, _, accepted = filled_store(tmp_path)
    store.unmark_open("urgent", accepted)
    with snapshot(tmp_path) as folder:
        assert not (folder / accepted.key).exists()


def test_marks_of_ended_and_of_deleted_jobs_are_left_out(tmp_path: Path) -> None:
    store, finished, accepted = filled_store(tmp_path)
    store.mark_open("routine", finished)
    accepted.remove()
    with snapshot(tmp_path) as folder:
        assert not any((folder / "open").rglob(finished.id))
        assert not any((folder / "open").rglob(accepted.id))


def test_files_that_are_being_written_are_left_out(tmp_path: Path) -> None:
    _, finished, _ = filled_store(tmp_path)
    (tmp_path / finished.key / "reports" / ".0123456789abcdef").write_bytes(b"half")
    with snapshot(tmp_path) as folder:
        assert not any(path.name.startswith(".") for path in folder.rglob("*"))


def test_a_job_that_is_deleted_during_the_backup_stays_in_the_snapshot(tmp_path: Path) -> None:
    _, finished, _ = filled_store(tmp_path)
    before = content(tmp_path)
    with snapshot(tmp_path) as folder:
        finished.remove()
        assert content(folder) == before


def test_the_rest_of_a_killed_backup_is_removed(tmp_path: Path) -> None:
    filled_store(tmp_path)
    left = tmp_path / ".snapshot-killed"
    left.mkdir()
    with snapshot(tmp_path):
        assert not left.exists()


def test_two_backups_at_the_same_time_are_refused(tmp_path: Path) -> None:
    filled_store(tmp_path)
    with locked(tmp_path), pytest.raises(BackupError, match="wait until it ends"), snapshot(tmp_path):
        pass


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="ICH_GATEWAY_JOBS_DIR"), snapshot(tmp_path / "missing"):
        pass


def test_snapshots_of_a_busy_store_are_consistent(tmp_path: Path) -> None:
    """Jobs are accepted, reported, cancelled and deleted by several threads meanwhile."""
    store, stop = unsynced(tmp_path), threading.Event()
    store.recover()
    threads = [threading.Thread(target=_live, args=(store, tmp_path / sender, sender, stop)) for sender in SENDERS]
    for thread in threads:
        thread.start()
    try:
        seen = sum(_check_snapshot(tmp_path, sender) for sender in SENDERS * SNAPSHOTS)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert seen > SNAPSHOTS  # jobs


def _live(store: JobStore, folder: Path, sender: str, stop: threading.Event) -> None:
    turn = 0
    while not stop.is_set():
        turn += 1
        live_a_little(store, folder, sender, turn)
        if turn % JOBS == 0:
            _delete_all(store, sender)


def _delete_all(store: JobStore, sender: str) -> None:
    for job in store.jobs(sender):
        store.close(job, "routine", "finished")
        job.remove()


def _check_snapshot(jobs_dir: Path, sender: str) -> int:
    """Number of jobs; AssertionError for a job that a restored gateway would lose or could not finish."""
    store = unsynced(jobs_dir)
    due = {job.id for job in store.open_jobs("routine", sender)}  # accepted before the snapshot begins
    with snapshot(jobs_dir) as folder:
        restored = unsynced(folder)
        found = {job.id: job for job in restored.jobs(sender)}
        opened = {job.id for job in restored.open_jobs("routine", sender)}
        for job in found.values():
            ended = job.ended()
            assert ended or job.id in opened, "a gateway would remove this job as an upload that was cut off"
            if ended is None or ended.status != "cancelled":
                with job.files() as files:
                    assert all(file.path.exists() for file in files)
            for number in job.outcomes():
                document = job.report(number)
                if number == 0:
                    for name, content in ATTACHMENTS.items():
                        attachment = job.open_attachment(0, document, name)
                        assert attachment
                        with attachment:
                            assert attachment.read() == content
            if ended and ended.status == "finished" and job.plan():
                assert len(job.outcomes()) >= 1
        assert opened <= found.keys()
    lost = due - found.keys()
    assert not {job_id for job_id in lost if (jobs_dir / "jobs" / sender / job_id).exists()}
    return len(found)

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.common.series_description import SeriesDescription
from services.gateway.jobs.schemas import Plan
from services.gateway.jobs.storage import Storage
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.settings import Settings
from services.gateway.worklist.schemas import WorklistEntry
from services.gateway.worklist.service import Worklist, WorklistUnavailable
from tests.gateway.jobs.factories import job_of, job_of_0_1_0, plan_of, report_of, upload
from tests.gateway.worklist.conftest import page_of


def _entries(worklist: Worklist) -> list[WorklistEntry]:
    worklist.tracker.look()
    return list(page_of(worklist).entries)


def _statuses(worklist: Worklist) -> list[tuple[int | None, str]]:
    return [(entry.number, entry.status) for entry in _entries(worklist)]


def wait_for(is_true: Callable[[], bool]) -> None:
    while not is_true():
        time.sleep(0.005)


def test_a_job_is_followed_from_its_acceptance_to_its_end(worklist: Worklist, store: JobStore, tmp_path: Path) -> None:
    job, _ = upload(store, tmp_path / "incoming", {"a.dcm": b"1"}, JobOptions("ann", "urgent", "default"))
    assert _statuses(worklist) == [(None, "queued")]
    job.create_plan(*plan_of(2))
    assert _statuses(worklist) == [(0, "running"), (1, "running")]
    job.create_report(1, report_of("assessed", 1, present=True, warnings=2))
    (first, second) = _entries(worklist)
    assert (first.status, first.present, first.priority) == ("running", None, "urgent")
    assert (second.status, second.present, second.warnings) == ("assessed", True, 2)
    job.create_report(0, report_of("not_assessed"))
    store.close(job, "urgent", "finished")
    assert _statuses(worklist) == [(0, "not_assessed"), (1, "assessed")]
    assert worklist.index.known()[job.id].settled


def test_jobs_without_series_are_never_missing(worklist: Worklist, store: JobStore, tmp_path: Path) -> None:
    problem = {"code": "stage_unavailable", "detail": "preprocess does not answer"}
    for plan in (Plan(started="2026-01-01T00:00:00.000Z", problem=problem), Plan(started="2026-01-01T00:00:00.000Z")):
        job, _ = upload(store, tmp_path / "incoming", {"a.dcm": b"1"}, JobOptions("ann", "routine", "default"))
        job.create_plan(plan, [])
        store.close(job, "routine", "failed")
    cancelled, _ = upload(store, tmp_path / "incoming", {"a.dcm": b"1"}, JobOptions("ann", "routine", "default"))
    store.cancel(cancelled, "routine")
    found = [(entry.number, entry.status, entry.reason) for entry in _entries(worklist)]
    assert found == [(None, "cancelled", None), (None, "failed", "no_series"), (None, "failed", "stage_unavailable")]


def test_a_cancelled_job_keeps_its_reports_in_the_list(worklist: Worklist, store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 2)
    job.create_report(0, report_of("assessed"))
    assert _statuses(worklist) == [(0, "assessed"), (1, "running")]
    store.cancel(job, "routine")
    assert _statuses(worklist) == [(0, "assessed"), (1, "cancelled")]
    job.remove()
    worklist.tracker.changed(job)
    assert _statuses(worklist) == []


def test_a_rescan_finds_jobs_that_came_and_went_without_a_word(
    store: JobStore, tmp_path: Path, worklist: Worklist
) -> None:
    gone, came = (job_of(store, tmp_path, 1) for _ in range(2))
    for job in (gone, came):
        job.create_report(0, report_of("failed"))
        store.close(job, "routine", "finished")
    assert len(_entries(worklist)) == 2, "ended before the first pass"
    gone.remove()
    assert len(_entries(worklist)) == 2
    worklist.tracker.rescan_soon()
    assert [entry.job for entry in _entries(worklist)] == [came.id]


@pytest.mark.parametrize("damage", ["manifest.jsonl", "plan.jsonl"])
def test_an_unreadable_job_is_an_entry_that_says_so(
    store: JobStore, tmp_path: Path, worklist: Worklist, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    job, other = (job_of(store, tmp_path, 1) for _ in range(2))
    path = tmp_path / "store" / job.key / damage
    path.write_text('{"name": "Doe^Jane"}')
    found = {entry.job: (entry.status, entry.reason) for entry in _entries(worklist)}
    assert found == {job.id: ("failed", "unreadable_job"), other.id: ("running", None)}
    assert "Doe" not in caplog.text


def test_a_reading_without_changes_is_no_new_version(worklist: Worklist, store: JobStore, tmp_path: Path) -> None:
    for number in range(3):
        job = job_of(store, tmp_path, 2)
        job.create_report(0, report_of("assessed"))
        if number:
            store.cancel(job, "routine")
    _entries(worklist)
    version = worklist.index.version("ann")
    worklist.tracker.rescan_soon()
    worklist.tracker.changed(job)
    assert len(_entries(worklist)) == 6
    assert worklist.index.version("ann") == worklist.index.version(None) == version


def test_each_sender_has_a_version_of_its_own(worklist: Worklist, store: JobStore, tmp_path: Path) -> None:
    job_of(store, tmp_path, sender="ann")
    worklist.tracker.look()
    before = worklist.index.version("ann"), worklist.index.version(None)
    job_of(store, tmp_path, sender="bob")
    worklist.tracker.look()
    assert worklist.index.version("ann") == before[0]
    assert worklist.index.version("bob") == worklist.index.version(None) > before[1]


@pytest.mark.parametrize("damage", [b"no database", b"", None])
def test_the_index_is_made_again_where_it_is_missing_or_damaged(
    store: JobStore, tmp_path: Path, damage: bytes | None
) -> None:
    job_of(store, tmp_path, 3)
    worklist = Worklist.create(Settings(jobs_dir=tmp_path / "store"), store)
    path = worklist.index.database.path
    with worklist.running():
        wait_for(lambda: worklist.index.complete)
    path.unlink() if damage is None else path.write_bytes(damage)
    with worklist.running():
        wait_for(lambda: page_of(worklist).total == 3)
    assert path.stat().st_mode & 0o077 == 0


def test_an_index_that_is_damaged_meanwhile_is_made_again(store: JobStore, tmp_path: Path) -> None:
    job_of(store, tmp_path, 3)
    worklist = Worklist.create(Settings(jobs_dir=tmp_path / "store"), store)
    with worklist.running():
        wait_for(lambda: worklist.index.complete)
        worklist.index.database.writer.execute("DROP TABLE entries")
        with pytest.raises(WorklistUnavailable):
            page_of(worklist)
        wait_for(lambda: _total(worklist) == 3)


def _total(worklist: Worklist) -> int:
    try:
        return page_of(worklist).total
    except WorklistUnavailable:
        return -1


class FullDisk:
    """A storage that fails for a while."""

    def __init__(self, inner: Storage) -> None:
        self._inner, self.fails = inner, False

    def __getattr__(self, name: str) -> Any:
        if self.fails:
            raise OSError(5, "Doe^Jane")
        return getattr(self._inner, name)


def test_what_was_read_in_a_pass_that_failed_is_read_again(
    worklist: Worklist, store: JobStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = job_of(store, tmp_path, 1)
    _entries(worklist)
    job.create_report(0, report_of("assessed"))
    worklist.index.database.writer.execute("PRAGMA query_only = ON")
    assert not worklist.tracker.try_to_look()
    worklist.index.database.writer.execute("PRAGMA query_only = OFF")
    assert worklist.tracker.try_to_look()
    assert _statuses(worklist) == [(0, "assessed")]
    store.storage = FullDisk(store.storage)
    store.storage.fails = True
    assert not worklist.tracker.try_to_look()
    assert not worklist.tracker.try_to_look()
    store.storage.fails = False
    assert _statuses(worklist) == [(0, "assessed")]
    assert "Doe" not in caplog.text
    assert len([record for record in caplog.records if "tried again" in record.message]) == 2


def test_jobs_in_an_object_storage_are_listed(tmp_path: Path) -> None:
    settings = Settings(jobs_dir=tmp_path / "store", jobs_url=f"memory://{tmp_path.name}")
    store = JobStore.at(settings.jobs_dir, settings.jobs_url)
    store.recover()
    worklist = Worklist.create(settings, store)
    with worklist.running():
        wait_for(lambda: worklist.index.complete)
        job = job_of(store, tmp_path, 2)
        job.create_report(0, report_of("assessed", present=True))
        worklist.tracker.changed(job)
        wait_for(lambda: page_of(worklist).positive == 1)
        store.close(job, "routine", "finished")
        job.remove()
        worklist.tracker.changed(job)
        wait_for(lambda: page_of(worklist).total == 0)
    assert store.storage.exists("patient/key")
    assert not (tmp_path / "store" / "patient").exists()


def test_rows_of_a_deleted_job_are_overwritten(worklist: Worklist, store: JobStore, tmp_path: Path) -> None:
    job, _ = upload(store, tmp_path / "incoming", {"a.dcm": b"1"}, JobOptions("ann", "routine", "default"))
    plan, (series,) = plan_of(1)
    described = SeriesDescription(series_description="Canarini Cantarella")
    job.create_plan(plan, [series.model_copy(update={"description": described})])
    assert [entry.series_description for entry in _entries(worklist)] == ["Canarini Cantarella"]
    store.cancel(job, "routine")
    job.remove()
    assert _entries(worklist) == []
    worklist.index.database.truncate_log()
    content = b"".join(path.read_bytes() for path in worklist.index.database.path.parent.iterdir())
    assert b"anarini" not in content


def test_a_job_of_version_0_1_0_has_the_rows_of_its_reports(
    worklist: Worklist, store: JobStore, tmp_path: Path
) -> None:
    found = {"assessed": report_of("assessed", 0, present=True, warnings=1), "failed": report_of("failed", 1)}
    job_of_0_1_0(store, tmp_path / "store", "0198f00000000123456789abcdef", found)
    entries = [(entry.status, entry.present, entry.warnings, entry.source) for entry in _entries(worklist)]
    assert entries == [("assessed", True, 1, None), ("failed", None, 0, None), ("running", None, 0, None)]

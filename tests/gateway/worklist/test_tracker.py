from pathlib import Path

import pytest

from services.gateway.jobs.schemas import Plan
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.worklist.schemas import WorklistEntry
from services.gateway.worklist.service import Worklist
from tests.gateway.jobs.factories import job_of, plan_of, report_of, upload
from tests.gateway.worklist.conftest import page_of


def _entries(worklist: Worklist) -> list[WorklistEntry]:
    worklist.tracker.look()
    return list(page_of(worklist).entries)


def _statuses(worklist: Worklist) -> list[tuple[int | None, str]]:
    return [(entry.number, entry.status) for entry in _entries(worklist)]


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

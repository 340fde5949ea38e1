"""Jobs that are cancelled during a write, jobs of version 0.1.0, and files beside plan and reports."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from services.common.problems import NotFound
from services.common.series_description import SeriesDescription
from services.gateway.jobs.idempotency import IdempotencyConflict
from services.gateway.jobs.job import Job
from services.gateway.jobs.report_formats import COLUMNS, csv_lines, read_reports
from services.gateway.jobs.schemas import Plan, PlannedSeries
from services.gateway.jobs.storage import LocalStorage
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.jobs.views import job_document
from tests.gateway.jobs.factories import MODELS, job_of, job_of_0_1_0, report_of, upload

OLD_ID = "0198f00000000123456789abcdef"


class CancellingStorage(LocalStorage):
    """Cancels the job just before or after a key with this name is created."""

    def __init__(self, root: Path, store: JobStore, name: str, *, after: bool) -> None:
        super().__init__(root, lambda _: None)
        self._store, self._name, self._after = store, name, after

    def create(self, key: str, content: bytes) -> bool:
        if f"/{self._name}" not in key:
            return super().create(key, content)
        if self._after:
            first = super().create(key, content)
            self._cancel()
            return first
        self._cancel()
        return super().create(key, content)

    def _cancel(self) -> None:
        for job in self._store.open_jobs("routine", "ann"):
            self._store.cancel(job, "routine")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", ["reports/000001", "models/", "done/000001"])
def test_a_report_written_during_the_cancellation_is_dropped(
    store: JobStore, tmp_path: Path, name: str, *, after: bool
) -> None:
    job = job_of(store, tmp_path, 2)
    job.create_report(0, report_of("assessed", model=0))
    slow = Job(CancellingStorage(tmp_path / "store", store, name, after=after), "ann", job.id)
    assert not slow.create_report(1, report_of("assessed", 1, model=1))
    assert job.outcomes() == {0: "assessed"}
    assert [number for number, _ in read_reports(job, -1)] == [0]
    with pytest.raises(NotFound):
        job.report(1)
    assert [(model.sha256, model.reports) for model in job_document(store, job).models] == [(MODELS[0], 1)]


def test_a_slow_worker_keeps_a_report_that_another_has_marked(store: JobStore, tmp_path: Path) -> None:
    """Two workers assess a series; the job is cancelled between their reports."""
    job = job_of(store, tmp_path, 2)
    storage = LocalStorage(tmp_path / "store", lambda _: None)
    storage.create(f"{job.key}/reports/000000.json", report_of("assessed"))
    assert not job.create_report(0, report_of("assessed"))
    store.cancel(job, "routine")
    assert not job.create_report(0, report_of("assessed"))
    assert job.report(0) == report_of("assessed")


def test_a_cancelled_job_expires(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path)
    job.create_report(0, report_of("assessed"))
    store.cancel(job, "routine")
    assert len(list(store.remove_expired(lambda *_: False))) == 0
    assert len(list(store.remove_expired(lambda *_: True))) == 1
    assert not job.exists()


def test_descriptions_are_kept_apart_from_the_plan_which_earlier_versions_read(store: JobStore, tmp_path: Path) -> None:
    job, _ = upload(store, tmp_path, {"a.dcm": b"1"}, JobOptions("ann", "routine", "default"))
    described = PlannedSeries(
        study_uid="2.25.1",
        series_uid="2.25.2",
        files=(0,),
        slices=1,
        description=SeriesDescription(series_description="Head"),
        patient="0f",
    )
    assert job.create_plan(Plan(started="2026-01-01T00:00:00.000Z", slices=(1,)), [described])
    line = (tmp_path / "store" / job.key / "plan.jsonl").read_text().splitlines()[1]
    assert set(json.loads(line)) == {"study_uid", "series_uid", "files", "slices"}
    assert job.planned_series_of([0]) == [described]
    (tmp_path / "store" / job.key / "descriptions.jsonl").unlink()
    assert job.planned_series_of([0]) == [job.planned_series(0)]


def test_a_marker_holds_the_summary_of_its_report(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 2)
    for number, status in enumerate(("assessed", "failed")):
        job.create_report(number, report_of(status, number, present=True))  # type: ignore[arg-type] # of OUTCOMES
    stored = {number: job.summary(number, marker) for number, marker in job.markers().items()}
    for path in (tmp_path / "store" / job.key / "done").iterdir():
        path.write_bytes(b"")
    assert {number: job.summary(number, marker) for number, marker in job.markers().items()} == stored
    assert (stored[0].present, stored[1].outcome) == (True, "failed")


@pytest.fixture
def old(store: JobStore, tmp_path: Path) -> Job:
    found = {"assessed": report_of("assessed", 0, present=True, warnings=1), "failed": report_of("failed", 1)}
    return job_of_0_1_0(store, tmp_path / "store", OLD_ID, found)


def test_a_job_of_version_0_1_0_is_counted_from_its_reports_once(store: JobStore, old: Job, tmp_path: Path) -> None:
    assert old.outcomes() == {0: "assessed", 1: "failed"}
    assert old.create_report(2, report_of("assessed", 2, model=1))
    document = job_document(store, old)
    assert document.counts.model_dump() == {"assessed": 2, "not_assessed": 0, "failed": 1}
    assert (document.series_present, document.series_with_warnings) == (1, 1)
    assert [(model.sha256, model.reports) for model in document.models] == [(MODELS[1], 1), (MODELS[0], 1)]
    assert [warning.code for warning in document.warnings] == ["several_models"]
    for path in (tmp_path / "store/jobs/ann" / OLD_ID / "reports").iterdir():
        path.unlink()
    assert job_document(store, old) == document


def test_reports_of_version_0_1_0_are_in_ndjson_and_csv(old: Job) -> None:
    assert [number for number, _ in read_reports(old, -1)] == [0, 1]
    head, *rows = b"".join(csv_lines(old, read_reports(old, -1))).decode().splitlines()
    assert head.split(",") == list(COLUMNS)
    assert [row.split(",")[1:3] for row in rows] == [["1", "assessed"], ["2", "failed"]]
    assert [row.count(",") for row in rows] == [len(COLUMNS) - 1] * 2


def test_a_cancelled_job_of_version_0_1_0_keeps_its_counts(store: JobStore, old: Job) -> None:
    store.cancel(old, "routine")
    for _ in range(2):
        document = job_document(store, old)
        assert (document.status, document.counts.assessed, document.series_present) == ("cancelled", 1, 1)


def test_results_of_version_0_1_0_are_read_on_a_full_disk(store: JobStore, old: Job, tmp_path: Path) -> None:
    class Full(LocalStorage):
        def create(self, key: str, content: bytes) -> bool:
            raise OSError(28, "no space", f"{key}, {len(content)} bytes")

    job = Job(Full(tmp_path / "store"), "ann", OLD_ID)
    assert [result.present for result in job.results().values()] == [True, None]
    assert job_document(store, old).series_present == 1


def test_an_idempotency_key_of_version_0_1_0_gives_its_job(store: JobStore, tmp_path: Path) -> None:
    options, files = JobOptions("ann", "routine", "default", "key"), {"a.dcm": b"1"}
    job, _ = upload(store, tmp_path, files, options)
    path = tmp_path / "store/jobs/ann" / job.id / "manifest.jsonl"
    head, rest = path.read_text().split("\n", 1)
    older = {name: value for name, value in json.loads(head).items() if name not in ("files_digest", "webhook_digest")}
    path.write_text(f"{json.dumps(older)}\n{rest}")
    assert upload(store, tmp_path, files, options)[0].id == job.id
    with pytest.raises(IdempotencyConflict) as caught:
        upload(store, tmp_path, files, replace(options, priority="urgent"))
    assert caught.value.extra == {"differences": []}

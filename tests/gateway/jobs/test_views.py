from pathlib import Path

import pytest

from services.common.timestamps import utc_now
from services.gateway.jobs.schemas import JobDocument, LeftOut, Outcome, Plan
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.jobs.views import job_document
from tests.gateway.jobs.factories import MODELS, job_of, report_of, upload


def test_the_document_of_a_job_from_start_to_end(store: JobStore, tmp_path: Path) -> None:
    upload(store, tmp_path, {"a": b"1"}, JobOptions("ann", "routine", "default"))
    job, _ = upload(store, tmp_path, {"a": b"1", "b": b"2"}, JobOptions("ann", "routine", "sensitive"))
    queued = job_document(store, job)
    assert (queued.status, queued.queue_position, queued.files, queued.started) == ("queued", 1, 2, None)
    assert queued.progress.series is None
    assert queued.operating_point == "sensitive"
    store.close(job, "routine", "failed")
    ended = job_document(store, job)
    assert (ended.status, ended.queue_position) == ("failed", None)
    assert ended.ended
    assert ended.ended >= ended.created


def test_progress_counts_series_and_slices(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 4)
    outcomes: dict[int, Outcome] = {0: "assessed", 2: "failed", 3: "assessed"}
    for number, outcome in outcomes.items():
        job.create_report(number, report_of(outcome))
    document = job_document(store, job)
    assert document.status == "running"
    assert document.counts.model_dump() == {"assessed": 2, "not_assessed": 0, "failed": 1}
    assert document.progress.model_dump() == {"series_done": 3, "series": 4, "slices_done": 8, "slices": 10}
    assert document.started
    assert document.started >= document.created


def test_verdicts_and_warnings_are_counted(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 5)
    for number, (present, warnings) in enumerate([(True, 0), (False, 3), (True, 1)]):
        job.create_report(number, report_of("assessed", number, present=present, warnings=warnings))
    job.create_report(3, report_of("not_assessed", 3, warnings=1))
    job.create_report(4, report_of("failed", 4))
    document = job_document(store, job)
    assert (document.series_present, document.series_with_warnings) == (2, 3)
    assert document.counts.model_dump() == {"assessed": 3, "not_assessed": 1, "failed": 1}


def test_a_job_with_reports_of_two_bundles_has_a_warning(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 4)
    job.create_report(0, report_of("assessed", model=0))
    one = job_document(store, job)
    assert [model.model_dump() for model in one.models] == [{"name": "bundle-0", "sha256": MODELS[0], "reports": 1}]
    assert one.warnings == ()
    for number in (1, 2):
        job.create_report(number, report_of("assessed", number, model=1))
    job.create_report(3, report_of("failed"))
    two = job_document(store, job)
    assert [(model.sha256, model.reports) for model in two.models] == [(MODELS[1], 2), (MODELS[0], 1)]
    (warning,) = two.warnings
    assert (warning.code, warning.severity) == ("several_models", "warn")
    assert warning.detail.startswith(
        "The reports come from 2 bundles: bundle-1 60303ae22b99 (reports: 2), bundle-0 9f86"
    )


def test_a_document_is_made_without_reading_reports(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 2)
    for number in range(2):
        job.create_report(number, report_of("assessed", number, present=True, model=number))
    before = job_document(store, job)
    for path in (tmp_path / "store/jobs/ann" / job.id / "reports").iterdir():
        path.unlink()
    assert job_document(store, job) == before


def test_a_document_lists_a_limited_number_of_left_out_files(store: JobStore, tmp_path: Path) -> None:
    job, _ = upload(store, tmp_path, {"a": b"1"}, JobOptions("ann", "routine", "default"))
    left_out = tuple(LeftOut(file=f"{number}.txt", code="not_dicom", reason="...") for number in range(2000))
    job.create_plan(Plan(started=utc_now(), left_out=left_out), ())
    document = job_document(store, job)
    assert (len(document.left_out), document.left_out_total) == (100, 2000)
    assert JobDocument.model_validate_json(document.model_dump_json()) == document


@pytest.mark.parametrize(
    ("codes", "beginning"), [(["truncated"], "1 file "), (["truncated", "not_dicom", "empty_file"], "2 files ")]
)
def test_an_unreadable_file_gives_a_warning(store: JobStore, tmp_path: Path, codes: list[str], beginning: str) -> None:
    job, _ = upload(store, tmp_path, {"a": b"1"}, JobOptions("ann", "routine", "default"))
    left_out = tuple(LeftOut(file=f"{code}.dcm", code=code, reason="...") for code in codes)
    job.create_plan(Plan(started=utc_now(), left_out=left_out), ())
    (warning,) = job_document(store, job).warnings
    assert (warning.code, warning.severity) == ("unreadable_files", "warn")
    assert warning.detail.startswith(beginning)

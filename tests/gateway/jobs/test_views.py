import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.common.labels import LABELS
from services.common.timestamps import utc_now
from services.gateway.jobs.report_formats import COLUMNS, csv_lines, ndjson_lines, on_one_line, read_reports
from services.gateway.jobs.schemas import JobDocument, LeftOut, Outcome, Plan
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.jobs.views import job_document
from tests.gateway.jobs.making import MODELS, job_of, report_of, upload


def test_a_job_from_its_beginning_to_its_end(store: JobStore, tmp_path: Path) -> None:
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


def test_progress_is_told_in_series_and_slices(store: JobStore, tmp_path: Path) -> None:
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


def test_a_job_that_met_two_bundles_says_so(store: JobStore, tmp_path: Path) -> None:
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


def test_a_look_at_a_job_reads_no_report(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 2)
    for number in range(2):
        job.create_report(number, report_of("assessed", number, present=True, model=number))
    before = job_document(store, job)
    for path in (tmp_path / "store/jobs/ann" / job.id / "reports").iterdir():
        path.unlink()
    assert job_document(store, job) == before


def test_many_files_that_were_left_out_do_not_make_a_document_long(store: JobStore, tmp_path: Path) -> None:
    job, _ = upload(store, tmp_path, {"a": b"1"}, JobOptions("ann", "routine", "default"))
    left_out = tuple(LeftOut(file=f"{number}.txt", code="not_dicom", reason="...") for number in range(2000))
    job.create_plan(Plan(started=utc_now(), left_out=left_out), ())
    document = job_document(store, job)
    assert (len(document.left_out), document.left_out_total) == (100, 2000)
    assert JobDocument.model_validate_json(document.model_dump_json()) == document


@pytest.mark.parametrize(
    ("codes", "words"), [(["truncated"], "1 file "), (["truncated", "not_dicom", "empty_file"], "2 files ")]
)
def test_a_file_that_may_be_a_lost_slice_gives_a_warning(
    store: JobStore, tmp_path: Path, codes: list[str], words: str
) -> None:
    job, _ = upload(store, tmp_path, {"a": b"1"}, JobOptions("ann", "routine", "default"))
    left_out = tuple(LeftOut(file=f"{code}.dcm", code=code, reason="...") for code in codes)
    job.create_plan(Plan(started=utc_now(), left_out=left_out), ())
    (warning,) = job_document(store, job).warnings
    assert (warning.code, warning.severity) == ("unreadable_files", "warn")
    assert warning.detail.startswith(words)


def test_reports_come_in_the_order_of_the_series(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 5)
    for number in (3, 0, 4):
        job.create_report(number, report_of("assessed", number))
    assert [number for number, _ in read_reports(job, -1)] == [0, 3, 4]
    assert [number for number, _ in read_reports(job, 0, 1)] == [3]
    lines = b"".join(ndjson_lines(read_reports(job, -1))).splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["0", "3", "4"]


@given(st.text())
@example("a\u2028b\x85c\u2029\x0b\r\n.dcm")
def test_a_line_of_json_is_one_however_lines_are_told_apart(name: str) -> None:
    line = on_one_line(json.dumps({"file": name}, ensure_ascii=False).encode())
    assert json.loads(line) == {"file": name}
    assert len(line.decode().splitlines()) == 1


def test_a_table_has_a_line_for_every_kind_of_report(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 4)
    uids: dict[str, Any] = {"study_instance_uid": "2.25.1", "series_instance_uid": "2.25.2", "slices": 3}
    scores = {"probabilities": {"any": 0.75}, "predictions": {"any": True, "epidural": False}}
    codes = [{"code": "resampled", "severity": "note"}, {"code": "contrast", "severity": "warn"}]
    model = {"model": {"name": "default", "sha256": MODELS[0]}, "created": utc_now(), "version": "1", "id": "j-000000"}
    found: list[tuple[Outcome, dict[str, Any]]] = [
        ("assessed", {"series": {**uids, **scores}, "reasons": codes, **model}),
        ("not_assessed", {"series": {**uids, "probabilities": None, "predictions": None}, "reasons": codes[:1]}),
        ("assessed", {"series": None, "slices": [{}, {}], "reasons": []}),
        ("failed", {"series": uids, "problem": {"code": "unusable_files"}}),
    ]
    for number, (status, members) in enumerate(found):
        job.create_report(number, json.dumps({"status": status, **members}).encode())
    rows = list(csv.DictReader(io.StringIO(b"".join(csv_lines(job, read_reports(job, -1))).decode())))
    assert tuple(rows[0]) == COLUMNS
    assert [row["status"] for row in rows] == [status for status, _ in found]
    assert [row["codes"] for row in rows] == ["resampled contrast", "resampled", "", "unusable_files"]
    assert [row["slices"] for row in rows] == ["3", "3", "2", "3"]
    assert [row["probability_any"] for row in rows] == ["0.75", "", "", ""]
    assert [row["series"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["prediction_any"] for row in rows] == ["true", "", "", ""]
    assert rows[0]["prediction_epidural"] == "false"
    assert [row["warnings"] for row in rows] == ["1", "0", "0", "0"]
    assert (rows[0]["codes_refuse"], rows[0]["codes_warn"], rows[0]["codes_note"]) == ("", "contrast", "resampled")
    assert [row["model_sha256"] for row in rows] == [MODELS[0], "", "", ""]
    assert (rows[0]["report"], rows[0]["version"], rows[0]["created"]) == ("j-000000", "1", model["created"])


def test_a_table_shows_the_highest_of_pictures(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path)
    nothing = dict.fromkeys(LABELS, 0.1)
    slices = [
        {"probabilities": nothing, "predictions": dict.fromkeys(LABELS, False)},
        {"probabilities": {**nothing, "any": 0.9}, "predictions": {**dict.fromkeys(LABELS, False), "any": True}},
    ]
    job.create_report(0, json.dumps({"status": "assessed", "series": None, "slices": slices, "reasons": []}).encode())
    (row,) = csv.DictReader(io.StringIO(b"".join(csv_lines(job, read_reports(job, -1))).decode()))
    assert (row["slices"], row["probability_any"], row["probability_subdural"]) == ("2", "0.9", "0.1")
    assert (row["prediction_any"], row["prediction_subdural"]) == ("true", "false")
    assert job_document(store, job).series_present == 1

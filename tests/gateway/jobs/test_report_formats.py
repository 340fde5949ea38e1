import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.common.labels import LABELS
from services.common.problems import NotAcceptable
from services.common.timestamps import utc_now
from services.gateway.jobs.report_formats import (
    COLUMNS,
    csv_line,
    csv_lines,
    json_page,
    ndjson_lines,
    on_one_line,
    preferred_media_type,
    read_reports,
)
from services.gateway.jobs.schemas import Outcome
from services.gateway.jobs.store import JobStore
from services.gateway.jobs.views import job_document
from tests.gateway.jobs.factories import MODELS, job_of, report_of


def test_reports_are_in_the_order_of_the_series(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 5)
    for number in (3, 0, 4):
        job.create_report(number, report_of("assessed", number))
    assert [number for number, _ in read_reports(job, -1)] == [0, 3, 4]
    assert [number for number, _ in read_reports(job, 0, 1)] == [3]
    lines = b"".join(ndjson_lines(read_reports(job, -1))).splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["0", "3", "4"]


@given(st.text())
@example("a\u2028b\x85c\u2029\x0b\r\n.dcm")
def test_a_line_of_ndjson_has_no_line_break_of_unicode(name: str) -> None:
    line = on_one_line(json.dumps({"file": name}, ensure_ascii=False).encode())
    assert json.loads(line) == {"file": name}
    assert len(line.decode().splitlines()) == 1


def test_csv_has_a_line_for_every_kind_of_report(store: JobStore, tmp_path: Path) -> None:
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


def test_csv_has_the_highest_probability_of_pictures(store: JobStore, tmp_path: Path) -> None:
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


HOSTILE = [
    "=HYPERLINK(1)",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\x00=1",
    " =1",
    "\u00a0=1",
    "＝1",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_cell_is_a_formula(text: str) -> None:
    (cells,) = csv.reader(io.StringIO(csv_line([text, "2.25.1", -0.5, None]).decode(), newline=""))
    assert cells == [f"'{text}", "2.25.1", "-0.5", ""]


def test_uids_and_names_in_csv_are_never_formulas(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path)
    uids = {"study_instance_uid": "=1", "series_instance_uid": "@2", "slices": 3}
    job.create_report(0, json.dumps({"status": "failed", "series": uids, "problem": {"code": "x"}}).encode())
    (row,) = csv.DictReader(io.StringIO(b"".join(csv_lines(job, read_reports(job, -1))).decode()))
    assert (row["study_instance_uid"], row["series_instance_uid"]) == ("'=1", "'@2")


def test_a_json_page_has_a_link_where_more_reports_follow(store: JobStore, tmp_path: Path) -> None:
    job = job_of(store, tmp_path, 3)
    for number in range(3):
        job.create_report(number, report_of("assessed", number))
    first, last = json.loads(json_page(job, -1, 2)), json.loads(json_page(job, 1, 2))
    assert [report["id"] for report in first["reports"]] == ["0", "1"]
    assert first["next"] == f"/v1/jobs/{job.id}/reports?after=1&limit=2"
    assert ([report["id"] for report in last["reports"]], last["next"]) == (["2"], None)


def test_accept_chooses_the_media_type() -> None:
    assert preferred_media_type([]) == "application/json"
    assert preferred_media_type(["text/csv;q=0.5", "application/x-ndjson"]) == "application/x-ndjson"
    with pytest.raises(NotAcceptable) as error:
        preferred_media_type(["text/html"])
    assert "text/csv" in error.value.detail

"""Reports of a job as a page of JSON, as NDJSON and as CSV."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from services.common.labels import LABELS
from services.common.negotiation import best_match
from services.common.problems import NotAcceptable
from services.common.schemas import SEVERITIES
from services.gateway.jobs.job import Job
from services.gateway.jobs.results import model_of

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
_MEDIA_TYPES: Final = (JSON, NDJSON, CSV)
# A spreadsheet takes a cell that begins with one of these as a formula, or drops it and reads the next (OWASP, "CSV
# Injection"). Some read the full-width forms as the ASCII ones.
_FORMULA: Final = re.compile(r"[=+\-@\x00-\x20\x7f-\xa0＝＋－＠]")
_UNICODE_BREAKS: Final = tuple((mark.encode(), f"\\u{ord(mark):04x}".encode()) for mark in "\x85\u2028\u2029")
COLUMNS: Final = (
    "job",
    "series",
    "status",
    "study_instance_uid",
    "series_instance_uid",
    "slices",
    *(f"probability_{label}" for label in LABELS),
    *(f"prediction_{label}" for label in LABELS),
    "codes",
    "warnings",
    *(f"codes_{severity}" for severity in SEVERITIES),
    "model_sha256",
    "created",
    "version",
    "report",
)


def preferred_media_type(accept: Sequence[str]) -> str:
    """The media type that values of the header Accept prefer; NotAcceptable where they accept none."""
    chosen = best_match(", ".join(accept), _MEDIA_TYPES)
    if chosen is None:
        raise NotAcceptable(f"reports are served as {', '.join(_MEDIA_TYPES)}; name one of them in Accept")
    return chosen


def read_reports(job: Job, after: int, limit: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Number and JSON of each report after a series number, in the order of the series."""
    numbers = [number for number in job.outcomes() if number > after]
    for number in numbers[:limit]:
        yield number, job.report(number)


def json_page(job: Job, after: int, limit: int) -> bytes:
    """A ReportPage, joined from the bytes of stored reports."""
    found = list(read_reports(job, after, limit + 1))
    shown = found[:limit]
    more = f'"/v1/jobs/{job.id}/reports?after={shown[-1][0]}&limit={limit}"' if len(found) > limit else "null"
    return b'{"reports":[' + b",".join(report for _, report in shown) + b'],"next":' + more.encode() + b"}"


def ndjson_lines(reports: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
    """One line a report."""
    return (on_one_line(report) + b"\n" for _, report in reports)


def on_one_line(document: bytes) -> bytes:
    """Escape the line breaks of Unicode, at which Python's `splitlines` breaks; JSON allows them in file names."""
    for mark, escaped in _UNICODE_BREAKS:
        document = document.replace(mark, escaped)
    return document


def csv_lines(job: Job, reports: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
    """The columns' names, then one line a series."""
    yield csv_line(COLUMNS)
    for number, report in reports:
        yield csv_line(csv_row(job.id, number, json.loads(report)))


def csv_row(job_id: str, number: int, report: dict[str, Any]) -> Iterator[Any]:
    """The values of COLUMNS for a series; `number` counts from 0, the column `series` from 1."""
    series = report["series"] or _summary_of_pictures(report["slices"])
    probabilities, predictions = series.get("probabilities") or {}, series.get("predictions") or {}
    yield from (job_id, number + 1, report["status"], series.get("study_instance_uid"))
    yield from (series.get("series_instance_uid"), series["slices"])
    yield from (probabilities.get(label) for label in LABELS)
    yield from (_json_boolean(predictions.get(label)) for label in LABELS)
    yield from _codes(report)
    yield from (model_of(report)[0], report.get("created"), report.get("version"), report.get("id"))


def _summary_of_pictures(slices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The highest probability of each label, and whether it is predicted in any picture; pictures are no series."""
    scored = [item for item in slices if item.get("probabilities")]
    if not scored:
        return {"slices": len(slices)}
    return {
        "slices": len(slices),
        "probabilities": {label: max(item["probabilities"][label] for item in scored) for label in LABELS},
        "predictions": {label: any(item["predictions"][label] for item in scored) for label in LABELS},
    }


def _codes(report: Mapping[str, Any]) -> Iterator[Any]:
    """All codes, the number of warnings, and the codes of each severity."""
    codes = [(reason["severity"], reason["code"]) for reason in report.get("reasons", ())]
    yield " ".join(code for _, code in codes) or report.get("problem", {}).get("code", "")
    yield sum(severity == "warn" for severity, _ in codes)
    for wanted in SEVERITIES:
        yield " ".join(code for severity, code in codes if severity == wanted)


def _json_boolean(value: object) -> str | None:
    """`true`, `false`, or None where there is no prediction."""
    return None if value is None else json.dumps(value)


def csv_line(values: Iterable[Any]) -> bytes:
    """One line of CSV (RFC 4180). Text that a spreadsheet would read as a formula begins with an apostrophe."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(_neutral(value) for value in values)
    return text.getvalue().encode(errors="replace")


def _neutral(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value

"""Jobs as their senders see them, and reports as tables. Pure, but for reading the store."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from services.common.labels import LABELS
from services.gateway.jobs.job import Ended, Job
from services.gateway.jobs.schemas import OUTCOMES, Counts, JobDocument, JobStatus, Outcome, Plan, Progress
from services.gateway.jobs.store import JobStore

_LEFT_OUT_SHOWN: Final = 100
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
)


def describe(store: JobStore, job: Job) -> JobDocument:
    """A job as it stands now; NotFound where it is gone."""
    manifest, plan, outcomes, ended = job.manifest(), job.plan(), job.outcomes(), job.ended()
    waiting = [other.id for other in store.open_jobs(manifest.priority, manifest.sender)]
    counts = Counter(outcomes.values())
    left_out = plan.left_out if plan else ()
    return JobDocument(
        id=job.id,
        status=_status(plan, ended),
        priority=manifest.priority,
        operating_point=manifest.operating_point,
        files=manifest.files,
        progress=_progress(plan, outcomes),
        counts=Counts(**{outcome: counts[outcome] for outcome in OUTCOMES}),
        queue_position=waiting.index(job.id) if job.id in waiting and not ended else None,
        created=manifest.created,
        started=plan.started if plan else None,
        ended=ended.at if ended else None,
        left_out=left_out[:_LEFT_OUT_SHOWN],
        left_out_total=len(left_out),
        problem=plan.problem if plan else None,
    )


def _status(plan: Plan | None, ended: Ended | None) -> JobStatus:
    if ended:
        return ended.status
    return "running" if plan else "queued"


def _progress(plan: Plan | None, outcomes: dict[int, Outcome]) -> Progress:
    if plan is None:
        return Progress(series_done=0, series=None, slices_done=0, slices=None)
    done = sum(plan.slices[number] for number in outcomes)
    return Progress(series_done=len(outcomes), series=len(plan.units), slices_done=done, slices=sum(plan.slices))


def reports(job: Job, after: int, limit: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Number and JSON of each report behind that number, in the order of the series."""
    wanted = [number for number in job.outcomes() if number > after]
    for number in wanted[:limit]:
        yield number, job.report(number)


def ndjson(found: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
    """A report a line."""
    return (on_one_line(report) + b"\n" for _, report in found)


def on_one_line(document: bytes) -> bytes:
    """JSON that is one line for those readers, too, that end lines where Unicode does, as Python's `splitlines`.

    Names of files may hold such marks; JSON allows them as they are, and escaped.
    """
    for mark, escaped in _UNICODE_BREAKS:
        document = document.replace(mark, escaped)
    return document


def table(job: Job, found: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
    """A series a line, as CSV."""
    yield csv_line(COLUMNS)
    for number, report in found:
        yield csv_line(row(job.id, number, json.loads(report)))


def row(job_id: str, number: int, report: dict[str, Any]) -> Iterator[Any]:
    """A series' line of the table, in the order of COLUMNS."""
    series = report["series"] or {"slices": len(report["slices"])}
    probabilities, predictions = series.get("probabilities") or {}, series.get("predictions") or {}
    codes = [reason["code"] for reason in report.get("reasons", ())] or [report.get("problem", {}).get("code", "")]
    yield from (job_id, number, report["status"], series.get("study_instance_uid"), series.get("series_instance_uid"))
    yield series["slices"]
    yield from (probabilities.get(label) for label in LABELS)
    yield from (predictions.get(label) for label in LABELS)
    yield " ".join(codes)


def csv_line(values: Iterable[Any]) -> bytes:
    """One line of CSV (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)
    return text.getvalue().encode()

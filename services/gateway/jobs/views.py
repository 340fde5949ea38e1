"""Jobs as their senders see them, and reports as tables. Pure, but for reading the store."""

import csv
import io
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from services.common.acceptance import CORRUPT_FILES
from services.common.labels import LABELS
from services.common.schemas import SEVERITIES, Reason
from services.gateway.jobs.job import Job, JobEnd
from services.gateway.jobs.results import SeriesResult, model_of, short
from services.gateway.jobs.schemas import OUTCOMES, Counts, JobDocument, JobStatus, LeftOut, Plan, Progress, UsedModel
from services.gateway.jobs.store import JobStore

SEVERAL_MODELS: Final = "several_models"
UNREADABLE_FILES: Final = "unreadable_files"
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
    "warnings",
    *(f"codes_{severity}" for severity in SEVERITIES),
    "model_sha256",
    "created",
    "version",
    "report",
)


def describe(store: JobStore, job: Job) -> JobDocument:
    """A job as it stands now; NotFound where it is gone."""
    manifest, plan, results, ended = job.manifest(), job.plan(), job.results(), job.ended()
    waiting = [other.id for other in store.open_jobs(manifest.priority, manifest.sender)]
    counts = Counter(result.outcome for result in results.values())
    left_out = plan.left_out if plan else ()
    models = _models(job.models(), results.values())
    return JobDocument(
        id=job.id,
        status=_status(plan, ended),
        priority=manifest.priority,
        operating_point=manifest.operating_point,
        files=manifest.files,
        progress=_progress(plan, results),
        counts=Counts(**{outcome: counts[outcome] for outcome in OUTCOMES}),
        series_present=sum(bool(result.present) for result in results.values()),
        series_with_warnings=sum(result.warnings > 0 for result in results.values()),
        models=models,
        warnings=(*_several_models(models), *_unreadable_files(left_out)),
        queue_position=waiting.index(job.id) if job.id in waiting and not ended else None,
        created=manifest.created,
        started=plan.started if plan else None,
        ended=ended.at if ended else None,
        left_out=left_out[:_LEFT_OUT_SHOWN],
        left_out_total=len(left_out),
        problem=plan.problem if plan else None,
    )


def _models(names: Mapping[str, str], results: Iterable[SeriesResult]) -> tuple[UsedModel, ...]:
    counts = Counter(result.model for result in results)
    used = (UsedModel(name=name, sha256=sha256, reports=counts[short(sha256)]) for sha256, name in names.items())
    return tuple(sorted((model for model in used if model.reports), key=lambda model: (-model.reports, model.sha256)))


def _several_models(models: Sequence[UsedModel]) -> Iterator[Reason]:
    """A warning where reports of several bundles are hard to compare."""
    if len(models) > 1:
        listed = ", ".join(f"{model.name} {short(model.sha256)} (reports: {model.reports})" for model in models)
        remedy = "To compare all series, send the files again."
        detail = f"The reports come from {len(models)} bundles: {listed}. {remedy}"
        yield Reason(code=SEVERAL_MODELS, severity="warn", detail=detail)


def _unreadable_files(left_out: Sequence[LeftOut]) -> Iterator[Reason]:
    """A warning where a series may lack a slice: a file whose header names no series cannot be put to one."""
    count = sum(item.code in CORRUPT_FILES for item in left_out)
    if count:
        what = "1 file that cannot be read belongs" if count == 1 else f"{count} files that cannot be read belong"
        detail = f"{what} to no known series: a series may lack slices. Send readable copies in a new job."
        yield Reason(code=UNREADABLE_FILES, severity="warn", detail=detail)


def _status(plan: Plan | None, ended: JobEnd | None) -> JobStatus:
    if ended:
        return ended.status
    return "running" if plan else "queued"


def _progress(plan: Plan | None, results: Collection[int]) -> Progress:
    if plan is None:
        return Progress(series_done=0, series=None, slices_done=0, slices=None)
    done = sum(plan.slices[number] for number in results)
    return Progress(series_done=len(results), series=len(plan.units), slices_done=done, slices=sum(plan.slices))


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
    """A series' line of the table, in the order of COLUMNS; `number` counts from 0, and the table from 1."""
    series = report["series"] or _pictures(report["slices"])
    probabilities, predictions = series.get("probabilities") or {}, series.get("predictions") or {}
    yield from (job_id, number + 1, report["status"], series.get("study_instance_uid"))
    yield from (series.get("series_instance_uid"), series["slices"])
    yield from (probabilities.get(label) for label in LABELS)
    yield from (_as_json(predictions.get(label)) for label in LABELS)
    yield from _codes(report)
    yield from (model_of(report)[0], report.get("created"), report.get("version"), report.get("id"))


def _pictures(slices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Pictures that are no series: the highest probability of each label, and whether any picture is predicted."""
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


def _as_json(value: object) -> str | None:
    """`true` or `false`; nothing where nothing was predicted."""
    return None if value is None else json.dumps(value)


def csv_line(values: Iterable[Any]) -> bytes:
    """One line of CSV (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)
    return text.getvalue().encode()

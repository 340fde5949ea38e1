"""Rows of the index, from the files of jobs. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from services.common.labels import LABELS
from services.gateway.feedback.schemas import Opinion
from services.gateway.jobs.job import JobEnd
from services.gateway.jobs.schemas import JobSource, Manifest, Plan, PlannedSeries, Priority
from services.gateway.jobs.summaries import SeriesSummary
from services.gateway.worklist.schemas import SeriesStatus

UNPLANNED: Final = -1  # number of the entry of a job without series
LAST: Final = 2**62  # sorts behind every number
_LAST_TEXT: Final = "\U0010ffff"
STATUS_RANKS: Final[Mapping[SeriesStatus, int]] = {
    "failed": 0,
    "not_assessed": 1,
    "running": 2,
    "queued": 3,
    "assessed": 4,
    "cancelled": 5,
}
_NO_SERIES: Final = "no file is a readable axial slice of a CT series"
_UNREADABLE: Final = "its files are damaged, or of a later version of the software"
_JOB_ID: Final = re.compile("0[0-9a-f]{12,63}")
_TIME_DIGITS: Final = 12  # of a job's id: milliseconds of its acceptance
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class JobState:
    """The parts of a job that all its rows share."""

    manifest: Manifest
    priority: Priority
    plan: Plan | None
    end: JobEnd | None
    source: JobSource | None = None
    show_patient: bool = False


def job_row(state: JobState) -> Row:
    """The entry of a job without series: not planned yet, cancelled before, or failed."""
    plan = state.plan
    reason, detail = _why_failed(plan) if plan else (None, None)
    status: SeriesStatus = "failed" if plan else "cancelled" if state.end else "queued"
    return (
        _row(state, UNPLANNED, status)
        | _sort_keys(state, status, None, None)
        | {
            "reason": reason,
            "reason_detail": detail,
            "text": _text(state.manifest.id),
        }
    )


def unreadable_row(sender: str, job_id: str) -> Row:
    """The entry of a job whose files cannot be read: damaged, or of a later version."""
    milliseconds = int(job_id[:_TIME_DIGITS], 16) if _JOB_ID.fullmatch(job_id) else 0
    received = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    manifest = Manifest(
        id=job_id,
        sender=sender,
        priority="routine",
        operating_point="default",
        created=received.replace("+00:00", "Z"),
        files=0,
    )
    row = job_row(JobState(manifest, manifest.priority, Plan(started=received), None))
    return row | {"reason": "unreadable_job", "reason_detail": _UNREADABLE}


def series_row(
    state: JobState,
    number: int,
    planned: PlannedSeries,
    summary: SeriesSummary | None,
    opinions: Mapping[Opinion, int],
) -> Row:
    """The entry of a series."""
    status = _status(state, summary)
    description = planned.description
    texts = (description.series_description, description.study_description) if description else (None, None)
    acquired = description.acquired if description else None
    name = description.patient_name if description and state.show_patient else None
    row = _row(state, number, status) | _sort_keys(state, status, " ".join(filter(None, texts)), acquired)
    row |= {
        "slices": planned.slices,
        "series_description": texts[0],
        "study_description": texts[1],
        "acquired": acquired,
        "patient": planned.patient,
        "patient_name": name,
        "text": _text(state.manifest.id, planned.study_uid, planned.series_uid, *texts, name),
    }
    return row | _of_summary(summary, planned) | {kind: opinions.get(kind, 0) for kind in _OPINIONS}


_OPINIONS: Final[tuple[Opinion, ...]] = ("agree", "disagree", "uncertain")


def _of_summary(summary: SeriesSummary | None, planned: PlannedSeries) -> Row:
    if summary is None:
        return {}
    probabilities, predictions = summary.probabilities or {}, summary.predictions or {}
    return {
        "reported": summary.reported,
        "slices": planned.slices if summary.slices is None else summary.slices,
        "present": summary.present,
        "warnings": summary.warnings,
        "reason": summary.reason,
        "reason_detail": summary.reason_detail,
        "key_slice": summary.key_slice,
        "blood": summary.blood,
        **{f"p_{label}": probabilities.get(label) for label in LABELS},
        **{f"is_{label}": predictions.get(label) for label in LABELS},
    }


def _status(state: JobState, summary: SeriesSummary | None) -> SeriesStatus:
    if summary:
        return summary.outcome
    return "cancelled" if state.end else "running"


def _why_failed(plan: Plan) -> tuple[str, str]:
    if plan.problem:
        return str(plan.problem.get("code", "")), str(plan.problem.get("detail", ""))
    aside = plan.left_out[:1]
    return "no_series", "; ".join((_NO_SERIES, *(f"{item.file}: {item.reason}" for item in aside)))


def _row(state: JobState, number: int, status: SeriesStatus) -> Row:
    """All columns, without a result."""
    manifest = state.manifest
    return {
        **dict.fromkeys(COLUMNS),
        "job": manifest.id,
        "number": number,
        "sender": manifest.sender,
        "status": status,
        "received": manifest.created,
        "priority": state.priority,
        "source": state.source,
        "warnings": 0,
        "blood": False,
        **dict.fromkeys(_OPINIONS, 0),
    }


def _sort_keys(state: JobState, status: SeriesStatus, description: str | None, acquired: str | None) -> Row:
    """Columns whose ascending order is that of the list: newest first, absent values last."""
    return {
        "newest": -_milliseconds(state.manifest.created, absent=0),
        "newest_acquired": -_milliseconds(acquired, absent=-LAST),
        "description_key": (description or "").casefold() or _LAST_TEXT,
        "status_rank": STATUS_RANKS[status],
        "priority_rank": int(state.priority != "urgent"),
    }


def _milliseconds(moment: str | None, *, absent: int) -> int:
    """Milliseconds of an ISO 8601 time. A time without zone counts as UTC, so that it does not depend on this host."""
    try:
        found = datetime.fromisoformat(moment or "")
    except ValueError:
        return absent
    seconds = (found.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001 - both without zone
    return round(seconds * 1000)


def _text(*parts: str | None) -> str:
    """The text that is searched, without regard to case."""
    return "\n".join(filter(None, parts)).casefold()


COLUMNS: Final = (
    *("job", "number", "sender", "status", "received", "reported", "priority", "source", "slices", "present"),
    *("warnings", *(f"p_{label}" for label in LABELS), *(f"is_{label}" for label in LABELS)),
    *("reason", "reason_detail", "key_slice", "blood", "series_description", "study_description", "acquired"),
    *("patient", "patient_name", *_OPINIONS, "text", "newest", "newest_acquired", "description_key"),
    *("status_rank", "priority_rank"),
)

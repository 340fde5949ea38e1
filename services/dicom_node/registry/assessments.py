"""Assessments on their way: each step is one transaction, which does nothing where another step was taken before."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection, Row
from typing import Final, Literal

from services.common.schemas import Reason
from services.common.timestamps import utc_now

WorkStep = Literal["complete", "submitted", "reported"]
_DUE: Final = """
    SELECT assessments.*, study_uid, series_uid FROM assessments JOIN series ON series.id = assessments.series
    WHERE step IN ('complete', 'submitted', 'reported') AND next_attempt_s <= ?
        AND CASE WHEN refused THEN 'reported' ELSE step END IN (SELECT value FROM json_each(?))
    ORDER BY next_attempt_s, assessments.id LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Assessment:
    """One assessment that is neither built nor ended.

    warnings : of the node
    refused : whether one of the warnings refuses the series: the gateway is not asked
    attempts : that failed in this step
    faults : jobs that ended by a fault of the gateway's own parts
    """

    id: int
    series: int
    study_uid: str
    series_uid: str
    number: int
    last_instance: int
    step: WorkStep
    warnings: tuple[Reason, ...]
    refused: bool
    attempts: int
    faults: int
    job_id: str | None
    error_code: str | None
    created_at: str


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance that an assessment covers; `path` is below the data folder, None where the file was removed."""

    id: int
    sop_instance_uid: str
    sop_class_uid: str
    frames: int
    path: str | None
    size: int


def due_assessments(connection: Connection, now_s: float, steps: Sequence[WorkStep], limit: int) -> list[Assessment]:
    """The assessments of these steps whose next attempt is due, those that wait longest first.

    One that is not to be assessed counts for the step `reported`: it needs no gateway.
    """
    rows = connection.execute(_DUE, (now_s, json.dumps(list(steps)), limit))
    return [_assessment(row) for row in rows]


def is_due(connection: Connection, assessment: Assessment, now_s: float) -> bool:
    """Whether an assessment is still at its step, and due: it may have been listed before another thread moved it."""
    values = assessment.id, assessment.step, assessment.refused, assessment.job_id, now_s
    row = connection.execute(
        "SELECT id FROM assessments WHERE id = ? AND step = ? AND refused = ? AND job_id IS ? AND next_attempt_s <= ?",
        values,
    ).fetchone()
    return row is not None


def _assessment(row: Row) -> Assessment:
    return Assessment(
        id=row["id"],
        series=row["series"],
        study_uid=row["study_uid"],
        series_uid=row["series_uid"],
        number=row["number"],
        last_instance=row["last_instance"],
        step=row["step"],
        warnings=tuple(Reason(**warning) for warning in json.loads(row["warnings"])),
        refused=bool(row["refused"]),
        attempts=row["attempts"],
        faults=row["faults"],
        job_id=row["job_id"],
        error_code=row["error_code"],
        created_at=row["created_at"],
    )


def covered_instances(connection: Connection, assessment: Assessment) -> list[StoredInstance]:
    """The instances of an assessment, in the order of InstanceNumber."""
    rows = connection.execute(
        "SELECT id, sop_instance_uid, sop_class_uid, frames, path, bytes FROM instances "
        "WHERE series = ? AND id <= ? ORDER BY instance_number IS NULL, instance_number, id",
        (assessment.series, assessment.last_instance),
    )
    return [StoredInstance(*row) for row in rows]


def mark_submitted(connection: Connection, assessment: Assessment, job_id: str, next_attempt_s: float) -> bool:
    """Note the gateway's job; False where the assessment was superseded or forgotten: the job is to be deleted."""
    changed = connection.execute(
        "UPDATE assessments SET step = 'submitted', step_at = ?, job_id = ?, attempts = 0, next_attempt_s = ?, "
        "error_code = NULL WHERE id = ? AND step = 'complete'",
        (utc_now(), job_id, next_attempt_s, assessment.id),
    ).rowcount
    if not changed:
        delete_job(connection, job_id)
    return bool(changed)


def mark_reported(
    connection: Connection,
    assessment: Assessment,
    warnings: Sequence[Reason],
    code: str | None = None,
    *,
    keep_job: bool = False,
) -> bool:
    """Note that the report is in the assessment's folder.

    Parameters
    ----------
    warnings : further ones, of the job
    code : why the gateway gave no report, where the node wrote one itself
    keep_job : leave the gateway's job there, and delete those of the series' earlier assessments
    """
    listed = json.dumps([warning.model_dump() for warning in (*assessment.warnings, *warnings)])
    kept = assessment.job_id if keep_job else None
    changed = connection.execute(
        "UPDATE assessments SET step = 'reported', step_at = ?, attempts = 0, next_attempt_s = 0, job_id = ?, "
        "warnings = ?, error_code = ? WHERE id = ? AND step = ?",
        (utc_now(), kept, listed, code, assessment.id, assessment.step),
    ).rowcount
    if changed and kept is not None:
        _delete_earlier_jobs(connection, assessment)
    elif assessment.job_id is not None:
        delete_job(connection, assessment.job_id)
    return bool(changed)


def _delete_earlier_jobs(connection: Connection, assessment: Assessment) -> None:
    """Replace the kept jobs of a series by the one of its latest assessment, which covers more instances."""
    earlier = "FROM assessments WHERE series = ? AND number < ? AND job_id IS NOT NULL"
    values = assessment.series, assessment.number
    connection.execute(f"INSERT OR IGNORE INTO jobs_to_delete SELECT job_id {earlier}", values)
    connection.execute("UPDATE assessments SET job_id = NULL WHERE series = ? AND number < ?", values)


def submit_again(connection: Connection, assessment: Assessment, code: str, faults: int) -> None:
    """Return to the step `complete`: the gateway has lost the job, or could not finish it for so many faults."""
    connection.execute(
        "UPDATE assessments SET step = 'complete', step_at = ?, faults = faults + ?, next_attempt_s = 0, "
        "job_id = NULL, error_code = ? WHERE id = ? AND step = 'submitted'",
        (utc_now(), faults, code, assessment.id),
    )
    if assessment.job_id is not None:
        delete_job(connection, assessment.job_id)


def wait(connection: Connection, assessment: Assessment, next_attempt_s: float) -> None:
    """Look again later; nothing failed."""
    connection.execute("UPDATE assessments SET next_attempt_s = ? WHERE id = ?", (next_attempt_s, assessment.id))


def mark_failed(connection: Connection, assessment: Assessment, code: str, next_attempt_s: float) -> None:
    """Count a failed attempt of the step."""
    connection.execute(
        "UPDATE assessments SET attempts = attempts + 1, error_code = ?, next_attempt_s = ? WHERE id = ? AND step = ?",
        (code, next_attempt_s, assessment.id, assessment.step),
    )


def mark_dead(connection: Connection, assessment: Assessment, code: str) -> None:
    """Give up until `resend`."""
    connection.execute(
        "UPDATE assessments SET step = 'dead', step_at = ?, attempts = attempts + 1, error_code = ? "
        "WHERE id = ? AND step = ?",
        (utc_now(), code, assessment.id, assessment.step),
    )


def delete_job(connection: Connection, job_id: str) -> None:
    """Note that a job of the gateway is not needed any more."""
    connection.execute("INSERT OR IGNORE INTO jobs_to_delete VALUES (?)", (job_id,))


def jobs_to_delete(connection: Connection) -> list[str]:
    """The jobs that are to be deleted at the gateway."""
    return [row["job_id"] for row in connection.execute("SELECT job_id FROM jobs_to_delete")]


def mark_deleted(connection: Connection, job_id: str) -> None:
    """Note that the gateway has no such job any more."""
    connection.execute("DELETE FROM jobs_to_delete WHERE job_id = ?", (job_id,))

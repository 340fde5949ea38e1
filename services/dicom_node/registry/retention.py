"""Ends what waited too long, and removes files and rows whose time has passed. Nothing goes in silence."""

import json
import logging
import shutil
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Final

from services.common.schemas import Reason
from services.common.timestamps import utc_now
from services.dicom_node.registry.assessments import delete_job
from services.dicom_node.registry.registry import Registry

log = logging.getLogger(__name__)
EXPIRED: Final = "expired"
# Nothing is left to do: no delivery is pending or waits for commitment. A dead assessment is not finished.
# CROSS JOIN holds the order of the loops: by step, SQLite would read all sent deliveries for each assessment.
_FINISHED: Final = """
    step IN ('built', 'sent', 'committed', 'passed_over', 'superseded') AND NOT EXISTS (
        SELECT * FROM objects CROSS JOIN deliveries ON object = objects.id WHERE assessment = assessments.id
            AND (deliveries.step = 'pending' OR (deliveries.step = 'sent' AND commitment)))
"""
# All assessments of the series are finished, and both the latest one and the latest instance are older than that.
_OLD_SERIES: Final = """
    SELECT series.id FROM series WHERE NOT waiting AND header IS NOT NULL
        AND last_received_s <= :before AND NOT EXISTS (
            SELECT * FROM assessments WHERE assessments.series = series.id
                AND (finished_s IS NULL OR finished_s > :before))
"""
_STORED: Final = f"SELECT id, path FROM instances WHERE path IS NOT NULL AND series IN ({_OLD_SERIES})"  # noqa: S608


@dataclass(frozen=True, slots=True)
class KeepTimes:
    """Seconds, as the settings describe them."""

    received_s: float
    unassessed_s: float
    results_s: float


def sweep(registry: Registry, times: KeepTimes) -> None:
    """Expire, mark finished, remove received files, and forget; then count the used bytes again."""
    now_s = registry.clock.now_s()
    with registry.database.write() as connection:
        expired = _expire(connection, now_s - times.unassessed_s)
        _mark_finished(connection, now_s)
        files = _take_files(connection, now_s - times.received_s)
        files += (forgotten := _forget(connection, now_s - times.results_s)).files
    for path in files:
        registry.folder.remove(path)
    for assessment in forgotten.assessments:
        shutil.rmtree(registry.folder.assessments / str(assessment), ignore_errors=True)
    registry.space.count_again()
    if expired:
        log.error("series expired: the gateway could not assess them in time", extra={"fields": {"series": expired}})


def _expire(connection: Connection, before_s: float) -> int:
    """Refuse the assessments that no gateway made in time: their number."""
    rows = connection.execute(
        "SELECT assessments.* FROM assessments JOIN series ON series.id = series "
        "WHERE step IN ('complete', 'submitted') AND NOT refused AND last_received_s <= ?",
        (before_s,),
    ).fetchall()
    for row in rows:
        reasons = [*json.loads(row["warnings"]), _expired().model_dump()]
        connection.execute(
            "UPDATE assessments SET step = 'complete', refused = 1, warnings = ?, next_attempt_s = 0, job_id = NULL, "
            "step_at = ? WHERE id = ?",
            (json.dumps(reasons), utc_now(), row["id"]),
        )
        if row["job_id"] is not None:
            delete_job(connection, row["job_id"])
    return len(rows)


def _expired() -> Reason:
    detail = "The gateway could not assess the series in the time that ICH_NODE_UNASSESSED_KEEP_S sets."
    return Reason(code=EXPIRED, detail=detail, severity="refuse")


def _mark_finished(connection: Connection, now_s: float) -> None:
    """Note when an assessment was first seen finished; one that is sent again is not finished."""
    change = "UPDATE assessments SET finished_s = ? WHERE finished_s IS"
    connection.execute(f"{change} NULL AND {_FINISHED}", (now_s,))
    connection.execute(f"{change} NOT NULL AND NOT ({_FINISHED})", (None,))


def _take_files(connection: Connection, before_s: float) -> list[str]:
    """Forget the files of received instances: their paths."""
    values = {"before": before_s}
    rows = connection.execute(_STORED, values).fetchall()
    connection.executemany("UPDATE instances SET path = NULL WHERE id = ?", [(row["id"],) for row in rows])
    return [row["path"] for row in rows]


@dataclass(frozen=True, slots=True)
class _Forgotten:
    files: list[str]
    assessments: list[int]


def _forget(connection: Connection, before_s: float) -> _Forgotten:
    values = {"before": before_s}
    paths = connection.execute(_STORED, values).fetchall()
    assessments = connection.execute(f"SELECT id FROM assessments WHERE series IN ({_OLD_SERIES})", values).fetchall()  # noqa: S608
    connection.execute(f"DELETE FROM series WHERE id IN ({_OLD_SERIES})", values)  # noqa: S608
    return _Forgotten([row["path"] for row in paths], [row["id"] for row in assessments])

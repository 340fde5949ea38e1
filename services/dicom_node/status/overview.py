"""Queries of the registry for the status: they read only, and hold no patient data."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from services.dicom_node.registry.database import Database
from services.dicom_node.status.schemas import (
    DeadLetter,
    DestinationStatus,
    PassedOver,
    RegistryStatus,
    SeriesStatus,
    short_uid,
)

_MOST_ROWS: Final = 50
_RESEND: Final = "python -m services.dicom_node resend"
# A series has the step of its last assessment; with instances that no assessment covers it is `received` again.
_SERIES: Final = """
    SELECT series.id, series_uid, last_received_at, reasons, assessments.id AS assessment, created_at,
        coalesce(attempts, 0) AS attempts, error_code,
        EXISTS (
            SELECT * FROM objects CROSS JOIN deliveries ON object = objects.id
            WHERE objects.assessment = assessments.id AND deliveries.step = 'pending'
        ) AS unsent,
        CASE WHEN ours = 0 THEN 'passed_over' WHEN waiting OR step IS NULL THEN 'received' ELSE step END AS step
    FROM series LEFT JOIN assessments
        ON assessments.id = (SELECT max(id) FROM assessments AS each WHERE each.series = series.id)
"""
STATES: Final = ("pending", "sent", "delivered", "dead")
_SUPERSEDED: Final = "SELECT count(*) FROM assessments WHERE step = 'superseded'"
_IN_WORK: Final = ("received", "complete", "submitted", "reported")  # and `built` with unsent objects
_DELIVERIES: Final = """
    SELECT destination, count(*) AS objects, min(created_at) AS oldest_at,
        CASE WHEN step = 'committed' OR (step = 'sent' AND NOT commitment) THEN 'delivered' ELSE step END AS state
    FROM deliveries GROUP BY destination, state
"""
_LAST_CODES: Final = """
    SELECT destination, error_code, max(step_at) FROM deliveries
    WHERE error_code IS NOT NULL AND step != 'superseded' GROUP BY destination
"""
_FAILURES: Final = """
    SELECT destination, error_code, count(*) AS objects FROM deliveries
    WHERE error_code IS NOT NULL AND step IN ('pending', 'sent', 'dead') GROUP BY destination, error_code
"""
_TRANSFERS: Final = "SELECT kind, coalesce(outcome, 'open') AS outcome, count(*) AS count FROM transfers GROUP BY 1, 2"
_INSTANCES: Final = """
    SELECT count(*) AS instances, coalesce(sum(bytes), 0) AS received_bytes,
        coalesce(sum(bytes) FILTER (WHERE path IS NOT NULL), 0) AS stored_bytes FROM instances
"""
_DEAD: Final = """
    SELECT series.id, series.series_uid, destination, count(*) AS objects, max(deliveries.error_code) AS error_code
    FROM deliveries JOIN objects ON objects.id = object JOIN assessments ON assessments.id = assessment
        JOIN series ON series.id = assessments.series
    WHERE deliveries.step = 'dead' GROUP BY series.id, destination ORDER BY series.id LIMIT ?
"""
_UNSENT: Final = """
    SELECT min(assessments.created_at) AS oldest_at FROM deliveries
        JOIN objects ON objects.id = object JOIN assessments ON assessments.id = assessment
    WHERE deliveries.step = 'pending'
    UNION ALL SELECT min(created_at) FROM assessments WHERE step IN ('complete', 'submitted', 'reported')
"""


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


class Overview:
    """Reads the state of all series and deliveries.

    Parameters
    ----------
    destinations
        names of the configured destinations, which are listed without deliveries, too
    """

    def __init__(self, database: Database, destinations: Iterable[str], clock: Callable[[], datetime] = now) -> None:
        self._database, self._destinations, self._clock = database, tuple(destinations), clock

    def read(self) -> RegistryStatus:
        """The present state, of one moment."""
        with self._database.read() as connection:
            series = connection.execute(f"{_SERIES} ORDER BY series.id").fetchall()
            dead = [row for row in series if row["step"] == "dead"]
            return RegistryStatus(
                series=_by_step(series, connection),
                oldest_unsent_s=max((self._age_s(row["oldest_at"]) for row in connection.execute(_UNSENT)), default=0),
                oldest=tuple(self._in_work(series)),
                destinations=tuple(self._by_destination(connection)),
                passed_over=tuple(self._passed_over(series)),
                dead_letters=(*map(_failed, dead), *map(_undelivered, connection.execute(_DEAD, (_MOST_ROWS,)))),
                built=_counts(connection, "SELECT kind, count(*) FROM objects GROUP BY kind"),
                failed_kinds=_counts(connection, "SELECT kind, count(*) FROM failed_kinds GROUP BY kind"),
                transfers=_nested(connection.execute(_TRANSFERS)),
                **dict(connection.execute(_INSTANCES).fetchone()),
            )

    def _age_s(self, moment: str | None) -> float:
        if moment is None:
            return 0.0
        return max(0.0, (self._clock() - datetime.fromisoformat(moment)).total_seconds())

    def _in_work(self, series: Iterable[sqlite3.Row]) -> Iterator[SeriesStatus]:
        rows = [row for row in series if row["step"] in _IN_WORK or (row["step"] == "built" and row["unsent"])]
        for row in rows[:_MOST_ROWS]:
            yield SeriesStatus(
                id=row["id"],
                series=short_uid(row["series_uid"]),
                step=row["step"],
                age_s=self._age_s(row["last_received_at"]),
                attempts=row["attempts"],
                code=row["error_code"],
            )

    def _passed_over(self, series: Iterable[sqlite3.Row]) -> Iterator[PassedOver]:
        rows = [row for row in series if row["step"] == "passed_over"][-_MOST_ROWS:]
        for row in reversed(rows):
            age_s, reasons = self._age_s(row["last_received_at"]), tuple(map(str, json.loads(row["reasons"])))
            yield PassedOver(id=row["id"], series=short_uid(row["series_uid"]), age_s=age_s, reasons=reasons)

    def _by_destination(self, connection: sqlite3.Connection) -> Iterator[DestinationStatus]:
        rows = connection.execute(_DELIVERIES).fetchall()
        codes = {row["destination"]: row["error_code"] for row in connection.execute(_LAST_CODES)}
        failures = _nested(connection.execute(_FAILURES))
        for name in dict.fromkeys((*self._destinations, *(row["destination"] for row in rows))):
            found = {row["state"]: row for row in rows if row["destination"] == name}
            counts = {state: found[state]["objects"] if state in found else 0 for state in STATES}
            waiting = [self._age_s(found[state]["oldest_at"]) for state in ("pending", "sent") if state in found]
            yield DestinationStatus(
                name=name,
                configured=name in self._destinations,
                oldest_s=max(waiting, default=0.0),
                code=codes.get(name),
                failures=failures.get(name, {}),
                **counts,
            )


def _by_step(series: Iterable[sqlite3.Row], connection: sqlite3.Connection) -> dict[str, int]:
    counts = Counter(row["step"] for row in series)
    (counts["superseded"],) = connection.execute(_SUPERSEDED).fetchone()
    return dict(counts)


def _failed(row: sqlite3.Row) -> DeadLetter:
    return _dead_letter(row, destination=None, objects=0)


def _undelivered(row: sqlite3.Row) -> DeadLetter:
    return _dead_letter(row, destination=row["destination"], objects=row["objects"])


def _dead_letter(row: sqlite3.Row, **more: Any) -> DeadLetter:
    resend = f"{_RESEND} {row['id']}"
    return DeadLetter(id=row["id"], series=short_uid(row["series_uid"]), code=row["error_code"], resend=resend, **more)


def _counts(connection: sqlite3.Connection, query: str) -> dict[str, int]:
    return {str(name): int(count) for name, count in connection.execute(query)}


def _nested(rows: Iterable[sqlite3.Row]) -> dict[str, dict[str, int]]:
    """Counts by two texts."""
    found: dict[str, dict[str, int]] = {}
    for outer, inner, count in rows:
        found.setdefault(outer, {})[inner] = count
    return found

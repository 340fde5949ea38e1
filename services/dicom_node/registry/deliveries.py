"""The deliveries of result objects to destinations: what is due, and what became of it. Each change is durable."""

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from services.common.timestamps import utc_now
from services.common.tracing import root_traceparent
from services.dicom_node.registry.database import Database
from services.dicom_node.registry.delivery import Delivery
from services.dicom_node.registry.delivery_steps import update_assessments

_SELECT: Final = """
    SELECT deliveries.*, tried_since_s AS since_s,
        objects.assessment, kind, study_uid, objects.series_uid, sop_class_uid, sop_instance_uid, path
    FROM deliveries
    JOIN objects ON objects.id = deliveries.object
    JOIN assessments ON assessments.id = objects.assessment
    JOIN series ON series.id = assessments.series
    WHERE destination = ? AND (kind = 'fhir') = ?
"""
_UNFINISHED: Final = """
    SELECT deliveries.id FROM deliveries JOIN objects ON objects.id = object
    WHERE destination = ? AND (kind = 'fhir') = ? AND (step = 'pending' OR (step = 'sent' AND commitment))
"""
_IN: Final = "(SELECT value FROM json_each(?))"
QueueName = tuple[str, bool]  # destination, and whether it is the queue of FHIR
_REPORTS_AFTER_S: Final = 90 * 86400.0  # a report of an older request is unknown
_MAX_UNCONFIRMED: Final = 200  # objects in one request of commitment


class Deliveries:
    """The queues of each destination: one of DICOM objects, one of FHIR. All methods may be called from any thread.

    A change of a delivery that was superseded meanwhile has no effect.

    Parameters
    ----------
    data_dir : paths of objects are below it
    now_s : the node's clock, which a jump of the wall clock does not move; all moments are its seconds
    """

    def __init__(self, database: Database, data_dir: Path, now_s: Callable[[], float]) -> None:
        self._database, self._data_dir, self.now_s = database, data_dir, now_s

    def traceparent(self, assessment: int) -> str | None:
        """The trace of an assessment; None while traces are off."""
        return root_traceparent(self._database.trace_seed(assessment))

    def due(self, queue: QueueName, now: float) -> tuple[Delivery, ...]:
        """The pending deliveries of the first assessment that has one due; those with the fewest attempts first."""
        where = "AND deliveries.step = 'pending' AND deliveries.next_attempt_s <= ?"
        with self._database.read() as connection:
            first = connection.execute(
                f"{_SELECT} {where} ORDER BY deliveries.next_attempt_s, deliveries.id LIMIT 1", (*queue, now)
            ).fetchone()
            rows = (
                first
                and connection.execute(
                    f"{_SELECT} {where} AND objects.assessment = ? ORDER BY deliveries.attempts, deliveries.id",
                    (*queue, now, first["assessment"]),
                ).fetchall()
            )
        return self._deliveries(rows or ())

    def unconfirmed(self, queue: QueueName, now: float) -> tuple[Delivery, ...]:
        """Sent deliveries that await commitment, whose time to ask has come."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"{_SELECT} AND deliveries.step = 'sent' AND commitment "
                "AND deliveries.next_attempt_s <= ? ORDER BY deliveries.next_attempt_s LIMIT ?",
                (*queue, now, _MAX_UNCONFIRMED),
            ).fetchall()
        return self._deliveries(rows)

    def next_moment(self, queue: QueueName) -> float | None:
        """When the next delivery is due, in seconds since 1970; None where there is none."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT min(next_attempt_s) AS moment FROM deliveries JOIN objects ON objects.id = object "
                "WHERE destination = ? AND (kind = 'fhir') = ? "
                "AND (step = 'pending' OR (step = 'sent' AND commitment))",
                queue,
            ).fetchone()
        return None if row["moment"] is None else float(row["moment"])

    def begin(self, one: int, next_attempt_s: float) -> bool:
        """Count an attempt before it is made: one that ends with this process is repeated at that moment.

        False where it must not be made, since the delivery was superseded.
        """
        with self._database.write() as connection:
            changed = connection.execute(
                "UPDATE deliveries SET attempts = attempts + 1, next_attempt_s = ?, "
                "tried_since_s = coalesce(tried_since_s, ?) WHERE id = ? AND step IN ('pending', 'sent')",
                (next_attempt_s, self.now_s(), one),
            )
            return changed.rowcount > 0

    def mark_sent(self, one: int, code: str, ask_at: float) -> None:
        """Note that the destination took the object; commitment is asked for at `ask_at`."""
        self._change(
            [one],
            "step = 'sent', error_code = nullif(?, ''), next_attempt_s = ?, step_at = ?",
            (code, ask_at, utc_now()),
            "pending",
        )

    def mark_failed(self, ids: Collection[int], code: str, next_attempt_s: float | None = None) -> None:
        """Note a failure that keeps the step; without a moment, the one that is set stays."""
        change = "error_code = ?, next_attempt_s = coalesce(?, next_attempt_s)"
        self._change(ids, change, (code, next_attempt_s), "pending", "sent")

    def mark_refused(self, one: int, code: str) -> None:
        """Count a permanent answer of the destination."""
        self._change([one], "error_code = ?, refusals = refusals + 1", (code,), "pending")

    def mark_dead(self, ids: Collection[int], code: str) -> None:
        """Give up until `resend`."""
        change = "step = 'dead', error_code = ?, transaction_uid = NULL, step_at = ?"
        self._change(ids, change, (code, utc_now()), "pending", "sent")

    def mark_committed(self, ids: Collection[int]) -> None:
        """Note that the destination takes responsibility."""
        change = "step = 'committed', error_code = NULL, transaction_uid = NULL, step_at = ?"
        self._change(ids, change, (utc_now(),), "sent")

    def send_again(self, ids: Collection[int], code: str, next_attempt_s: float) -> None:
        """Note that the destination does not have sent objects."""
        change = "step = 'pending', error_code = ?, next_attempt_s = ?, transaction_uid = NULL, step_at = ?"
        self._change(ids, change, (code, next_attempt_s, utc_now()), "sent")

    def note_unavailable(self, queue: QueueName, code: str) -> None:
        """Note a failure of the destination, which concerns all unfinished deliveries."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE deliveries SET error_code = ?, tried_since_s = coalesce(tried_since_s, ?) "  # noqa: S608
                f"WHERE id IN ({_UNFINISHED})",
                (code, self.now_s(), *queue),
            )

    def give_up_before(self, queue: QueueName, since_s: float, code: str) -> int:
        """Give up all unfinished deliveries that were first tried before a moment; their number."""
        with self._database.read() as connection:
            rows = connection.execute(f"{_UNFINISHED} AND tried_since_s < ?", (*queue, since_s)).fetchall()
        if rows:
            self.mark_dead([row["id"] for row in rows], code)
        return len(rows)

    def note_request(self, destination: str, transaction_uid: str, ids: Collection[int], ask_again_at: float) -> None:
        """Note a request of commitment before it is sent."""
        with self._database.write() as connection:
            oldest = _rfc3339(time.time() - _REPORTS_AFTER_S)
            connection.execute("DELETE FROM commitment_requests WHERE requested_at < ?", (oldest,))
            connection.execute(
                "INSERT INTO commitment_requests VALUES (?, ?, ?)", (transaction_uid, destination, utc_now())
            )
            connection.execute(
                "UPDATE deliveries SET transaction_uid = ?, attempts = attempts + 1, next_attempt_s = ? "
                "WHERE step = 'sent' AND id IN (SELECT value FROM json_each(?))",
                (transaction_uid, ask_again_at, json.dumps(list(ids))),
            )

    def requested_of(self, transaction_uid: str) -> str | None:
        """The destination that a transaction was requested of; None of an unknown one."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT destination FROM commitment_requests WHERE transaction_uid = ?", (transaction_uid,)
            ).fetchone()
        return row and str(row["destination"])

    def sent_objects(self, destination: str, sop_instance_uids: Collection[str]) -> tuple[Delivery, ...]:
        """The deliveries of these objects that await commitment."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"{_SELECT} AND deliveries.step = 'sent' AND sop_instance_uid IN {_IN}",
                (destination, False, json.dumps(list(sop_instance_uids))),
            ).fetchall()
        return self._deliveries(rows)

    def current_in(self, transaction_uid: str) -> frozenset[int]:
        """The deliveries whose latest request is this transaction."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT id FROM deliveries WHERE transaction_uid = ?", (transaction_uid,))
            return frozenset(row["id"] for row in rows)

    def _change(self, ids: Collection[int], change: str, values: Sequence[object], *steps: str) -> None:
        allowed = ", ".join(f"'{step}'" for step in steps)
        with self._database.write() as connection:
            connection.execute(
                f"UPDATE deliveries SET {change} WHERE step IN ({allowed}) AND id IN {_IN}",  # noqa: S608 - constants
                (*values, json.dumps(list(ids))),
            )
            update_assessments(connection, ids)

    def _deliveries(self, rows: Iterable[sqlite3.Row]) -> tuple[Delivery, ...]:
        return tuple(
            Delivery(
                id=row["id"],
                assessment=row["assessment"],
                kind=row["kind"],
                study_uid=row["study_uid"],
                series_uid=row["series_uid"],
                sop_class_uid=row["sop_class_uid"],
                sop_instance_uid=row["sop_instance_uid"],
                path=self._data_dir / row["path"],
                attempts=row["attempts"],
                refusals=row["refusals"],
                code=row["error_code"],
                since_s=row["since_s"],
            )
            for row in rows
        )


def _rfc3339(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

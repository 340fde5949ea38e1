"""Deliveries of an assessment as a whole: their creation, the step that follows from them, the end of older ones."""

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from services.common.timestamps import utc_now
from services.dicom_node.kinds import Kind

_OF_DELIVERIES: Final = """
    SELECT DISTINCT assessment FROM objects JOIN deliveries ON deliveries.object = objects.id
    WHERE deliveries.id IN (SELECT value FROM json_each(?))
"""
# `sent` is the end where the destination confirms nothing. An assessment without deliveries keeps its step.
_STEP: Final = """
    SELECT CASE
        WHEN count(*) = 0 THEN NULL
        WHEN min(deliveries.step = 'committed' OR (deliveries.step = 'sent' AND NOT commitment)) THEN 'committed'
        WHEN min(deliveries.step IN ('sent', 'committed')) THEN 'sent'
        ELSE 'built' END AS step
    FROM deliveries JOIN objects ON objects.id = deliveries.object
    WHERE assessment = ? AND deliveries.step != 'superseded'
"""


@dataclass(frozen=True, slots=True)
class Destination:
    """What a peer gets.

    confirms : kinds whose objects it confirms, by storage commitment or a query
    """

    kinds: frozenset[Kind]
    confirms: frozenset[Kind]


def plan_deliveries(connection: sqlite3.Connection, assessment: int, destinations: Mapping[str, Destination]) -> None:
    """Create the deliveries of an assessment's objects that do not exist yet."""
    objects = connection.execute("SELECT id, kind FROM objects WHERE assessment = ? ORDER BY id", (assessment,))
    connection.executemany(
        "INSERT INTO deliveries (object, destination, commitment, created_at, step_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        [
            (row["id"], name, row["kind"] in destination.confirms, utc_now(), utc_now())
            for row in objects.fetchall()
            for name, destination in destinations.items()
            if row["kind"] in destination.kinds
        ],
    )
    update_assessment(connection, assessment)


def supersede_deliveries(connection: sqlite3.Connection, assessment: int) -> None:
    """End the deliveries of an assessment that another one replaces: its objects are sent no more."""
    connection.execute(
        "UPDATE deliveries SET step = 'superseded', transaction_uid = NULL, step_at = ? "
        "WHERE (step IN ('pending', 'dead') OR (step = 'sent' AND commitment)) "
        "AND object IN (SELECT id FROM objects WHERE assessment = ?)",
        (utc_now(), assessment),
    )


def resend_deliveries(
    connection: sqlite3.Connection, assessment: int, *, dead_only: bool = True, destination: str | None = None
) -> int:
    """Send the objects of an assessment again, with patience counted from now; the number of deliveries.

    Parameters
    ----------
    destination : to this one only; None, to all
    """
    changed = connection.execute(
        "UPDATE deliveries SET step = 'pending', attempts = 0, refusals = 0, next_attempt_s = 0, "
        "transaction_uid = NULL, tried_since_s = NULL, step_at = ? WHERE step != 'superseded' "
        "AND (step = 'dead' OR NOT ?) AND object IN (SELECT id FROM objects WHERE assessment = ?) "
        "AND coalesce(?, destination) = destination",
        (utc_now(), dead_only, assessment, destination),
    ).rowcount
    update_assessment(connection, assessment)
    return changed


def update_assessments(connection: sqlite3.Connection, deliveries: Collection[int]) -> None:
    """Let the assessments of these deliveries take the step that follows from all their deliveries."""
    for row in connection.execute(_OF_DELIVERIES, (json.dumps(list(deliveries)),)).fetchall():
        update_assessment(connection, row["assessment"])


def update_assessment(connection: sqlite3.Connection, assessment: int) -> None:
    """Let an assessment that is built take the step that follows from its deliveries."""
    step = connection.execute(_STEP, (assessment,)).fetchone()["step"]
    connection.execute(
        "UPDATE assessments SET step = ?, step_at = ? WHERE id = ? AND step IN ('built', 'sent', 'committed') "
        "AND step != ?",
        (step, utc_now(), assessment, step),
    )

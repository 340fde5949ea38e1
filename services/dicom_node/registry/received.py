"""Received series that wait to be complete, and the assessments that they begin."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from sqlite3 import Connection, Row
from typing import Any

from services.common.acceptance import is_refused
from services.common.schemas import Reason
from services.common.timestamps import utc_now
from services.dicom_node.completeness import TIMED_OUT, ReceivedSeries, TransferState
from services.dicom_node.instance_header import InstanceHeader
from services.dicom_node.selection.verdict import SeriesSummary, Verdict

_TUPLES = ("image_type", "image_orientation")


@dataclass(frozen=True, slots=True)
class WaitingSeries:
    """A series with instances that no assessment covers.

    last_instance : id of its latest instance
    conflicts : instances that were refused, since another one with their UID is stored
    other_patients : instances of another patient than the first one's
    """

    id: int
    study_uid: str
    last_instance: int
    conflicts: int
    other_patients: int
    received: ReceivedSeries


def waiting_series(connection: Connection, now_s: float, least_quiet_s: float) -> Iterator[WaitingSeries]:
    """The series that may be complete: nothing came for some time, or their number of instances is known."""
    rows = connection.execute(
        "SELECT * FROM series WHERE waiting AND (? - last_received_s >= ? OR expected IS NOT NULL) ORDER BY id",
        (now_s, least_quiet_s),
    )
    for row in rows.fetchall():
        instances = connection.execute(
            "SELECT id, instance_number, frames, path IS NULL AS removed FROM instances WHERE series = ?", (row["id"],)
        ).fetchall()
        received = ReceivedSeries(
            numbers=[(one["instance_number"], one["frames"]) for one in instances],
            expected=row["expected"],
            transfers=_transfers(connection, row["id"]),
            removed=sum(one["removed"] for one in instances),
            quiet_s=now_s - row["last_received_s"],
        )
        yield WaitingSeries(
            id=row["id"],
            study_uid=row["study_uid"],
            last_instance=max(one["id"] for one in instances),
            conflicts=row["conflicts"],
            other_patients=row["other_patients"],
            received=received,
        )


def _transfers(connection: Connection, series: int) -> list[TransferState]:
    rows = connection.execute(
        "SELECT id, outcome, last_begun, sent, (SELECT count(*) FROM instances WHERE instances.series = ? "
        "AND instances.transfer = transfers.id) AS added "
        "FROM transfers JOIN series_transfers ON transfer = id WHERE series = ?",
        (series, series),
    )
    return [
        TransferState(row["id"], row["outcome"], row["last_begun"], added=row["added"], sent=row["sent"])
        for row in rows
    ]


def study_summaries(
    connection: Connection, study_uid: str, now_s: float, quiet_s: float, complete: Collection[int]
) -> dict[int, SeriesSummary]:
    """The received series of a study by their ids.

    Parameters
    ----------
    quiet_s : time without an instance after which an incomplete series has stalled
    complete : ids of the waiting series that are complete
    """
    rows = connection.execute(
        "SELECT series.*, sum(frames) AS slices, ? - last_received_s >= ? AS quiet, (SELECT instr(warnings, ?) "
        "FROM assessments WHERE assessments.series = series.id ORDER BY number DESC LIMIT 1) AS timed_out "
        "FROM series JOIN instances ON instances.series = series.id WHERE study_uid = ? GROUP BY series.id",
        (now_s, quiet_s, f'"{TIMED_OUT}"', study_uid),
    )
    return {row["id"]: _summary(row, complete=row["id"] in complete) for row in rows}


def _summary(row: Row, *, complete: bool) -> SeriesSummary:
    complete = complete or not (row["waiting"] or row["timed_out"])
    ours, stalled = None if row["ours"] is None else bool(row["ours"]), not complete and bool(row["quiet"])
    return SeriesSummary(parse_header(row["header"]), row["slices"], complete, ours, stalled, row["derived"] > 0)


def parse_header(text: str) -> InstanceHeader:
    """A header from its JSON."""
    values: dict[str, Any] = json.loads(text)
    tuples = {name: tuple(values[name]) for name in _TUPLES if values.get(name) is not None}
    return InstanceHeader(**{**values, **tuples})


def begin_assessment(
    connection: Connection, series: WaitingSeries, verdict: Verdict, warnings: Sequence[Reason]
) -> int | None:
    """Begin the next assessment of a series, over all its instances; its id.

    Earlier assessments that have no results yet are superseded. None where an instance came meanwhile.
    """
    (latest,) = connection.execute("SELECT max(id) FROM instances WHERE series = ?", (series.id,)).fetchone()
    if latest != series.last_instance:
        return None
    connection.execute(
        "UPDATE series SET waiting = 0, ours = ?, reasons = ? WHERE id = ?",
        (bool(verdict.ours), json.dumps(verdict.reasons), series.id),
    )
    connection.execute(
        "INSERT OR IGNORE INTO jobs_to_delete SELECT job_id FROM assessments "
        "WHERE series = ? AND step IN ('complete', 'submitted') AND job_id IS NOT NULL",
        (series.id,),
    )
    connection.execute(
        "UPDATE assessments SET step = 'superseded', step_at = ?, "
        "job_id = CASE WHEN step IN ('complete', 'submitted') THEN NULL ELSE job_id END "
        "WHERE series = ? AND step IN ('complete', 'submitted', 'reported', 'dead')",
        (utc_now(), series.id),
    )
    now, step = utc_now(), "complete" if verdict.ours else "passed_over"
    listed = json.dumps([warning.model_dump() for warning in warnings])
    row = connection.execute(
        "INSERT INTO assessments (series, number, last_instance, step, warnings, refused, created_at, step_at) "
        "VALUES (?, 1 + (SELECT count(*) FROM assessments WHERE series = ?), ?, ?, ?, ?, ?, ?) RETURNING id",
        (series.id, series.id, latest, step, listed, is_refused(warnings), now, now),
    ).fetchone()
    return int(row["id"])

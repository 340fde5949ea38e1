"""The table of pulls: what was asked for, and how far each series is. Each change is durable."""

import json
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from services.common.timestamps import utc_now
from services.dicom_node.registry.database import Database

_KEPT_S: Final = 7 * 86400.0  # after its creation, of a pull that has ended


@dataclass(frozen=True, slots=True)
class Pull:
    """A request to pull a study, or one series where `series_uid` is not empty; `asked_s` by the node's clock."""

    id: str
    peer: str
    study_uid: str
    series_uid: str
    status: str
    attempts: int
    code: str | None
    created_at: str
    updated_at: str
    asked_s: float


@dataclass(frozen=True, slots=True)
class SeriesOfPull:
    """A series that the peer has. `received` counts the instances that the node has."""

    series_uid: str
    status: str
    instances: int | None
    reasons: tuple[str, ...]
    received: int
    code: str | None


class TooManyPulls(Exception):
    """As many pulls as allowed are unfinished."""


class Pulls:
    """All methods may be called from any thread.

    Parameters
    ----------
    now_s : the node's clock, which a jump of the wall clock does not move
    """

    def __init__(self, database: Database, now_s: Callable[[], float]) -> None:
        self._database, self.now_s = database, now_s

    def create(self, sender: str, peer: str, study_uid: str, series_uid: str, most: int) -> Pull:
        """The unfinished pull of the same things, or a new one; TooManyPulls where `most` are unfinished."""
        same = "peer = ? AND sender = ? AND study_uid = ? AND series_uid = ? AND status IN ('queued', 'running')"
        with self._database.write() as connection:
            key = (peer, sender, study_uid, series_uid)
            found = connection.execute(f"SELECT * FROM pulls WHERE {same}", key).fetchone()  # noqa: S608 - constants
            return _pull(found) if found else self._insert(connection, key, most)

    def _insert(self, connection: sqlite3.Connection, key: tuple[str, ...], most: int) -> Pull:
        oldest = datetime.fromtimestamp(time.time() - _KEPT_S, UTC).isoformat()
        connection.execute("DELETE FROM pulls WHERE status IN ('finished', 'failed') AND created_at < ?", (oldest,))
        count = connection.execute("SELECT count(*) AS n FROM pulls WHERE status IN ('queued', 'running')").fetchone()
        if count["n"] >= most:
            raise TooManyPulls
        row = connection.execute(
            "INSERT INTO pulls (id, peer, sender, study_uid, series_uid, created_at, updated_at, asked_s) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
            (secrets.token_hex(16), *key, utc_now(), utc_now(), self.now_s()),
        ).fetchone()
        return _pull(row)

    def find(self, sender: str, identifier: str) -> Pull | None:
        """A pull of this sender."""
        with self._database.read() as connection:
            row = connection.execute("SELECT * FROM pulls WHERE id = ? AND sender = ?", (identifier, sender)).fetchone()
        return row and _pull(row)

    def due(self, peer: str, now: float) -> Pull | None:
        """The unfinished pull of a peer that is due first."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT * FROM pulls WHERE peer = ? AND status IN ('queued', 'running') AND next_attempt_s <= ? "
                "ORDER BY next_attempt_s, created_at LIMIT 1",
                (peer, now),
            ).fetchone()
        return row and _pull(row)

    def begin(self, pull: Pull, next_attempt_s: float) -> None:
        """Count an attempt before it is made."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE pulls SET status = 'running', attempts = attempts + 1, next_attempt_s = ?, updated_at = ? "
                "WHERE id = ?",
                (next_attempt_s, utc_now(), pull.id),
            )

    def end(self, pull: Pull, status: str, code: str | None = None) -> None:
        """Note the end, or (`running`) the failure of an attempt."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE pulls SET status = ?, error_code = ?, updated_at = ? WHERE id = ?",
                (status, code, utc_now(), pull.id),
            )

    def note_series(
        self,
        pull: Pull,
        series_uid: str,
        status: str,
        *,
        instances: int | None,
        reasons: tuple[str, ...],
        code: str | None = None,
    ) -> None:
        """Note a series of the peer, and how far it is."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO pulled_series VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET status = excluded.status, instances = excluded.instances, "
                "reasons = excluded.reasons, error_code = excluded.error_code",
                (pull.id, series_uid, status, instances, json.dumps(reasons), code),
            )
            connection.execute("UPDATE pulls SET updated_at = ? WHERE id = ?", (utc_now(), pull.id))

    def series(self, pull: Pull) -> tuple[SeriesOfPull, ...]:
        """The series that were found, in the order of their UIDs."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT *, (SELECT count(*) FROM instances JOIN series ON series.id = instances.series "
                "WHERE study_uid = ? AND series.series_uid = pulled_series.series_uid) AS received "
                "FROM pulled_series WHERE pull = ? ORDER BY series_uid",
                (pull.study_uid, pull.id),
            ).fetchall()
        return tuple(
            SeriesOfPull(
                row["series_uid"],
                row["status"],
                row["instances"],
                tuple(json.loads(row["reasons"])),
                row["received"],
                row["error_code"],
            )
            for row in rows
        )

    def received(self, study_uid: str, series_uid: str) -> int:
        """The number of instances of a series that the node has, or had."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT count(*) AS n FROM instances JOIN series ON series.id = instances.series "
                "WHERE study_uid = ? AND series_uid = ?",
                (study_uid, series_uid),
            ).fetchone()
        return int(row["n"])

    def chosen(self, study_uid: str) -> frozenset[str]:
        """The series of a study that the node assesses."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT series_uid FROM series WHERE study_uid = ? AND ours", (study_uid,))
            return frozenset(row["series_uid"] for row in rows)


def _pull(row: sqlite3.Row) -> Pull:
    return Pull(
        row["id"],
        row["peer"],
        row["study_uid"],
        row["series_uid"],
        row["status"],
        row["attempts"],
        row["error_code"],
        row["created_at"],
        row["updated_at"],
        row["asked_s"],
    )

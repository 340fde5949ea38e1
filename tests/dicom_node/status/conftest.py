"""A registry with series at several steps."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.dicom_node.registry.database import Database

EARLY, LATE = "2026-01-01T00:00:00+00:00", "2026-01-01T00:01:00+00:00"
UID = "1.2.826.0.1.3680043.8.498."


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path / "registry.sqlite")) as opened:
        yield opened


class Rows:
    """Adds rows to a registry."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def series(
        self, *, step: str | None, ours: bool = True, reasons: tuple[str, ...] = (), code: str | None = None
    ) -> int:
        """A series, with an assessment at this step; its id."""
        with self.database.write() as connection:
            count = connection.execute("SELECT count(*) FROM series").fetchone()[0]
            found = connection.execute(
                "INSERT INTO series (study_uid, series_uid, ours, waiting, reasons, last_received_at)"
                " VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
                (f"{UID}1", f"{UID}{count:010}", ours, step is None and ours, json.dumps(reasons), EARLY),
            ).fetchone()["id"]
        if step is not None:
            self.assessment(int(found), 1, step, code)
        return int(found)

    def assessment(self, series: int, number: int, step: str, code: str | None = None) -> int:
        """An assessment of a series; its id."""
        with self.database.write() as connection:
            row = connection.execute(
                "INSERT INTO assessments (series, number, last_instance, step, error_code, created_at, step_at)"
                " VALUES (?, ?, 1, ?, ?, ?, ?) RETURNING id",
                (series, number, step, code, EARLY, EARLY),
            ).fetchone()
            return int(row["id"])

    def delivery(self, assessment: int, destination: str, step: str, code: str | None = None) -> int:
        """A delivery of one more object of an assessment; its id."""
        with self.database.write() as connection:
            count = connection.execute("SELECT count(*) FROM objects").fetchone()[0]
            item = connection.execute(
                "INSERT INTO objects (assessment, kind, sop_class_uid, sop_instance_uid, series_uid, path)"
                " VALUES (?, 'sr', '1.2', ?, '1.3', ?) RETURNING id",
                (assessment, f"1.4.{count}", f"sr-{count}.dcm"),
            ).fetchone()["id"]
            row = connection.execute(
                "INSERT INTO deliveries (object, destination, commitment, step, error_code, created_at, step_at)"
                " VALUES (?, ?, 1, ?, ?, ?, ?) RETURNING id",
                (item, destination, step, code, LATE, LATE),
            ).fetchone()
            return int(row["id"])

    def instance(self, series: int) -> str:
        """A stored instance of a series; its path below the data folder."""
        path = f"instances/{series}/0.dcm"
        with self.database.write() as connection:
            transfer = connection.execute(
                "INSERT INTO transfers (kind, peer, began_at) VALUES ('c-store', 'CT1', ?) RETURNING id", (EARLY,)
            ).fetchone()["id"]
            connection.execute(
                "INSERT INTO instances (series, sop_instance_uid, sop_class_uid, transfer_syntax_uid, frames, path,"
                " bytes, digest, received_at, transfer) VALUES (?, '1.5', '1.2', '1.2', 1, ?, 6, x'00', ?, ?)",
                (series, path, EARLY, transfer),
            )
        return path

    def finish_series(self) -> None:
        """Let no series have instances that no assessment covers."""
        with self.database.write() as connection:
            connection.execute("UPDATE series SET waiting = 0")

    def step(self, assessment: int) -> str:
        """The step of an assessment."""
        with self.database.read() as connection:
            row = connection.execute("SELECT step FROM assessments WHERE id = ?", (assessment,)).fetchone()
            return str(row["step"])


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)

"""What the commands `resend` and `forget` do to the registry, beside a running node."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.common.timestamps import utc_now
from services.dicom_node.assessment_folder import AssessmentFolder
from services.dicom_node.registry.assessments import delete_job
from services.dicom_node.registry.data_folder import DataFolder
from services.dicom_node.registry.database import Database
from services.dicom_node.registry.delivery_steps import Destination, plan_deliveries, resend_deliveries

_CURRENT: Final = "SELECT id FROM assessments WHERE series = ? AND step != 'superseded'"
# A number has no point, and a UID has one (PS3.5 9.1).
_BY_NAME: Final = """
    SELECT id, study_uid FROM series WHERE CASE instr(:name, '.')
        WHEN 0 THEN CAST(id AS TEXT) = :name ELSE :name IN (series_uid, study_uid) END
    ORDER BY id
"""
# An assessment is given up where its results cannot be built: its report is there.
_BUILD_AGAIN: Final = """
    UPDATE assessments SET step = 'reported', attempts = 0, next_attempt_s = 0, error_code = NULL, step_at = ?
    WHERE step = 'dead' AND id = (SELECT max(id) FROM assessments WHERE series = ?)
"""
_WITH_DEAD_LETTERS: Final = """
    SELECT DISTINCT assessment AS id FROM objects JOIN deliveries ON object = objects.id WHERE step = 'dead'
"""


class UnknownSeries(LookupError):
    """No series has this number or UID. The message names the remedy."""


def find_series(database: Database, text: str) -> list[int]:
    """The numbers of the series of a number, a SeriesInstanceUID, or a StudyInstanceUID.

    Raises
    ------
    UnknownSeries
        there is none, or several studies have a series of this UID
    """
    with database.read() as connection:
        rows = connection.execute(_BY_NAME, {"name": text}).fetchall()
    if not rows:
        raise UnknownSeries("there is no such series or study: `status` lists numbers; a UID must be complete")
    if len({row["study_uid"] for row in rows}) > 1:
        numbers = ", ".join(str(row["id"]) for row in rows)
        raise UnknownSeries(f"the series lies in several studies: give one of the numbers {numbers}")
    return [int(row["id"]) for row in rows]


def resend(
    database: Database, series: int, destinations: Mapping[str, Destination], destination: str | None = None
) -> int:
    """Send the results of a series again to all destinations, or to one; or build failed ones again.

    Parameters
    ----------
    destinations : that are configured; one that was added after the results were built gets them, too

    Returns
    -------
    the number of deliveries and assessments that are tried again
    """
    with database.write() as connection:
        failed = connection.execute(_BUILD_AGAIN, (utc_now(), series))
        connection.execute("UPDATE assessments SET finished_s = NULL WHERE series = ?", (series,))
        current = connection.execute(_CURRENT, (series,)).fetchall()
        wanted = {name: one for name, one in destinations.items() if destination in (None, name)}
        for row in current:
            plan_deliveries(connection, row["id"], wanted)
        again = [resend_deliveries(connection, row["id"], dead_only=False, destination=destination) for row in current]
        return failed.rowcount + sum(again)


def resend_dead(database: Database, destination: str | None = None) -> int:
    """Send all dead letters again, or those of one destination; their number."""
    with database.write() as connection:
        assessments = connection.execute(_WITH_DEAD_LETTERS).fetchall()
        connection.executemany("UPDATE assessments SET finished_s = NULL WHERE id = :id", map(dict, assessments))
        return sum(resend_deliveries(connection, row["id"], destination=destination) for row in assessments)


def used_destinations(database: Database) -> set[str]:
    """Names of all destinations that results were planned for."""
    with database.read() as connection:
        return {str(row["destination"]) for row in connection.execute("SELECT DISTINCT destination FROM deliveries")}


def forget(database: Database, data_dir: Path, series: int) -> int:
    """Delete a series with its instances, results and deliveries; the number of deleted instances.

    The rows go first: a step that runs meanwhile finds no row to write to, and a file that is left belongs to none.
    """
    with database.write() as connection:
        instances = connection.execute("SELECT path FROM instances WHERE series = ?", (series,)).fetchall()
        assessments = connection.execute("SELECT id, job_id FROM assessments WHERE series = ?", (series,)).fetchall()
        for row in assessments:
            if row["job_id"] is not None:
                delete_job(connection, row["job_id"])
        connection.execute("DELETE FROM series WHERE id = ?", (series,))
    folder = DataFolder(data_dir)
    for row in instances:
        if row["path"] is not None:
            folder.remove(row["path"])
    for row in assessments:
        shutil.rmtree(AssessmentFolder.of(data_dir, row["id"]).path, ignore_errors=True)
    return len(instances)

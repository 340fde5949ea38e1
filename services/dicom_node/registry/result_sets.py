"""Result sets: a series has one current set of objects, and later ones replace it in one transaction."""

from collections.abc import Mapping
from sqlite3 import Connection

from services.common.timestamps import utc_now
from services.dicom_node.assessment_folder import ObjectIndex, ObjectReference
from services.dicom_node.registry.assessments import Assessment
from services.dicom_node.registry.delivery_steps import Destination, plan_deliveries, supersede_deliveries


class PredecessorChanged(Exception):
    """An earlier assessment was sent while the results of this one were built, without a reference to it."""


def sent_predecessor(connection: Connection, assessment: Assessment) -> ObjectReference | None:
    """The SR of the latest earlier assessment that may have reached a destination."""
    row = connection.execute(
        "SELECT objects.* FROM objects JOIN assessments ON assessments.id = assessment "
        "WHERE series = ? AND number < ? AND kind = 'sr' AND EXISTS (SELECT * FROM deliveries AS sent "
        "WHERE object = objects.id AND (sent.attempts > 0 OR sent.step IN ('sent', 'committed'))) "
        "ORDER BY number DESC LIMIT 1",
        (assessment.series, assessment.number),
    ).fetchone()
    return row and ObjectReference(
        study_instance_uid=assessment.study_uid,
        series_instance_uid=row["series_uid"],
        sop_class_uid=row["sop_class_uid"],
        sop_instance_uid=row["sop_instance_uid"],
    )


def mark_built(
    connection: Connection,
    assessment: Assessment,
    built: tuple[ObjectIndex, str, ObjectReference | None],
    destinations: Mapping[str, Destination],
) -> bool:
    """Commit the result set: objects and deliveries, in place of what earlier assessments have not sent yet.

    Parameters
    ----------
    built : the index, the folder of its files below the data folder, and the predecessor that the SR names

    Raises
    ------
    PredecessorChanged
        another SR was sent meanwhile
    """
    index, folder, predecessor = built
    if sent_predecessor(connection, assessment) != predecessor:
        raise PredecessorChanged
    changed = connection.execute(
        "UPDATE assessments SET step = 'built', step_at = ?, attempts = 0, next_attempt_s = 0 "
        "WHERE id = ? AND step = 'reported'",
        (utc_now(), assessment.id),
    ).rowcount
    if not changed:
        return False
    _supersede_earlier(connection, assessment)
    _insert_objects(connection, assessment.id, index, folder)
    plan_deliveries(connection, assessment.id, destinations)
    return True


def _supersede_earlier(connection: Connection, assessment: Assessment) -> None:
    earlier = connection.execute(
        "SELECT id FROM assessments WHERE series = ? AND number < ? AND step IN ('built', 'sent', 'committed', 'dead')",
        (assessment.series, assessment.number),
    ).fetchall()
    for row in earlier:
        supersede_deliveries(connection, row["id"])
        connection.execute(
            "UPDATE assessments SET step = 'superseded', step_at = ? WHERE id = ?", (utc_now(), row["id"])
        )


def _insert_objects(connection: Connection, assessment: int, index: ObjectIndex, folder: str) -> None:
    connection.executemany(
        "INSERT INTO objects (assessment, kind, sop_class_uid, sop_instance_uid, series_uid, path) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                assessment,
                one.kind,
                one.sop_class_uid,
                one.sop_instance_uid,
                one.series_instance_uid,
                f"{folder}/{one.file}",
            )
            for one in index.objects
        ],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO failed_kinds VALUES (?, ?, ?)",
        [(assessment, one.kind, one.code) for one in index.failed],
    )

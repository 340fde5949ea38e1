"""Brings registry and data folder into agreement at start, after a crash or a reboot."""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from sqlite3 import Connection

from services.dicom_node.registry.clock import NodeClock
from services.dicom_node.registry.data_folder import DataFolder
from services.dicom_node.registry.database import Database
from services.dicom_node.registry.inbox import end_transfers

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Repairs:
    """Numbers of removed files that no row names, and of instances whose file is missing."""

    orphans: int
    missing: int


def recover(database: Database, folder: DataFolder, clock: NodeClock) -> Repairs:
    """End the transfers that were open, and remove files that belong to nothing. No other thread may run."""
    with database.write() as connection:
        end_transfers(connection, "aborted")
        if clock.rebooted:  # the time since the latest instance is uncertain: it restarts
            connection.execute("UPDATE series SET last_received_s = ? WHERE waiting", (clock.now_s(),))
        repairs = Repairs(_remove_orphans(connection, folder), _note_missing(connection, folder))
    if repairs != Repairs(0, 0):
        log.warning("the data folder was repaired", extra={"fields": asdict(repairs)})
    return repairs


def _remove_orphans(connection: Connection, folder: DataFolder) -> int:
    orphans = [
        *folder.incoming.iterdir(),
        *_orphaned_instances(connection, folder),
        *_orphaned_results(connection, folder),
    ]
    for path in orphans:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for stored in folder.instances.iterdir():
        if not any(stored.iterdir()):
            stored.rmdir()
    return len(orphans)


def _orphaned_instances(connection: Connection, folder: DataFolder) -> Iterator[Path]:
    """Files without a row, one folder of a series at a time."""
    rows = connection.execute("SELECT id, study_uid, series_uid FROM series")
    series = {folder.series_folder(row["study_uid"], row["series_uid"]): row["id"] for row in rows}
    for stored in folder.instances.iterdir():
        rows = connection.execute("SELECT path FROM instances WHERE series = ?", (series.get(stored),))
        known = {row["path"] for row in rows}
        yield from (file for file in stored.iterdir() if str(file.relative_to(folder.path)) not in known)


def _orphaned_results(connection: Connection, folder: DataFolder) -> Iterator[Path]:
    known = {str(row["id"]) for row in connection.execute("SELECT id FROM assessments")}
    return (path for path in folder.assessments.iterdir() if path.name not in known)


def _note_missing(connection: Connection, folder: DataFolder) -> int:
    """Note instances whose file is gone: an assessment then says so."""
    rows = connection.execute("SELECT id, path FROM instances WHERE path IS NOT NULL").fetchall()
    missing = [(row["id"],) for row in rows if not (folder.path / row["path"]).is_file()]
    connection.executemany("UPDATE instances SET path = NULL WHERE id = ?", missing)
    return len(missing)

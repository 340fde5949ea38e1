"""The inbox of receivers, on top of the registry."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from sqlite3 import Connection, Row
from typing import Final

from services.common.timestamps import utc_now
from services.dicom_node.inbox import Added, Transfer, TransferKind, TransferOutcome
from services.dicom_node.instance_header import InstanceHeader
from services.dicom_node.registry.clock import NodeClock
from services.dicom_node.registry.data_folder import DataFolder
from services.dicom_node.registry.database import Database
from services.dicom_node.registry.group_commit import GroupCommit
from services.dicom_node.registry.space import Space

_COLUMNS: Final = (
    "series",
    "sop_instance_uid",
    "sop_class_uid",
    "transfer_syntax_uid",
    "instance_number",
    "frames",
    "path",
    "bytes",
    "digest",
    "received_at",
    "transfer",
)
_INSERT_INSTANCE: Final = (
    f"INSERT INTO instances ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class _Received:
    """A file that was moved into the data folder; `path` is below it, `at_s` by the node's clock."""

    header: InstanceHeader
    path: str
    size: int
    digest: bytes
    at_s: float


class RegistryInbox:
    """An Inbox: files in the data folder, all else in the database. Instances of several threads share a commit."""

    def __init__(self, database: Database, folder: DataFolder, space: Space, clock: NodeClock) -> None:
        self._clock = clock
        self._commits = GroupCommit(database)
        self._folder = folder
        self._space = space

    def begin_transfer(self, kind: TransferKind, peer: str) -> Transfer:
        """Note an open transfer."""

        def insert(connection: Connection) -> int:
            values = kind, peer, utc_now()
            row = connection.execute(
                "INSERT INTO transfers (kind, peer, began_at) VALUES (?, ?, ?) RETURNING id", values
            )
            return int(row.fetchone()["id"])

        return Transfer(self._commits.run(insert), kind, peer)

    def end_transfer(self, transfer: Transfer, outcome: TransferOutcome) -> None:
        """Note its end."""
        self._commits.run(lambda connection: end_transfers(connection, outcome, transfer.id))

    def reserve(self, size: int) -> None:
        """Check that `size` more bytes fit; OutOfSpace where they don't."""
        self._space.check(size)

    def new_file(self) -> Path:
        """A path for a file that is being received."""
        return self._folder.new_file()

    def add(self, transfer: Transfer, header: InstanceHeader, file: Path, digest: bytes) -> Added:
        """Take over a complete file, whose content is on the disk."""
        size = file.stat().st_size
        folder = self._folder.series_folder(header.study_instance_uid, header.series_instance_uid)
        path = self._folder.take(file, folder)
        kept = False
        try:
            received = _Received(header, path, size, digest, self._clock.now_s())
            added, kept = self._commits.run(lambda connection: _insert(connection, transfer, received))
        finally:
            if kept:
                self._space.add(size)
            else:
                self._folder.remove(path)
        return added

    def expect(self, study_instance_uid: str, series_instance_uid: str, instances: int) -> None:
        """Note how many instances the series has at its PACS."""

        def note(connection: Connection) -> None:
            series = _series(connection, study_instance_uid, series_instance_uid)
            connection.execute("UPDATE series SET expected = ? WHERE id = ?", (instances, series["id"]))

        self._commits.run(note)


def end_transfers(connection: Connection, outcome: TransferOutcome, transfer: int | None = None) -> None:
    """End a transfer, or all open ones."""
    connection.execute(
        "UPDATE transfers SET outcome = ?, ended_at = ?, last_begun = (SELECT max(id) FROM transfers) "
        "WHERE outcome IS NULL AND (id = ? OR ? IS NULL)",
        (outcome, utc_now(), transfer, transfer),
    )


def _insert(connection: Connection, transfer: Transfer, received: _Received) -> tuple[Added, bool]:
    """What became of an instance, and whether its file is kept."""
    header = received.header
    series = _series(connection, header.study_instance_uid, header.series_instance_uid)
    connection.execute(
        "INSERT INTO series_transfers (series, transfer, sent) VALUES (?, ?, 1) "
        "ON CONFLICT DO UPDATE SET sent = sent + 1",
        (series["id"], transfer.id),
    )
    found = connection.execute(
        "SELECT id, digest, path FROM instances WHERE series = ? AND sop_instance_uid = ?",
        (series["id"], header.sop_instance_uid),
    ).fetchone()
    if found is None:
        _insert_new(connection, series, transfer, received)
        return Added.STORED, True
    if found["digest"] != received.digest:
        connection.execute("UPDATE series SET conflicts = conflicts + 1 WHERE id = ?", (series["id"],))
        return Added.CONFLICT, False
    if found["path"] is not None:
        return Added.SAME, False
    change = "UPDATE instances SET path = ?, bytes = ? WHERE id = ?"
    connection.execute(change, (received.path, received.size, found["id"]))
    return Added.SAME, True  # a late slice may need its series' removed files again


def _insert_new(connection: Connection, series: Row, transfer: Transfer, received: _Received) -> None:
    header, now = received.header, utc_now()
    values = {
        "series": series["id"],
        "sop_instance_uid": header.sop_instance_uid,
        "sop_class_uid": header.sop_class_uid,
        "transfer_syntax_uid": header.transfer_syntax_uid,
        "instance_number": header.instance_number,
        "frames": header.number_of_frames,
        "path": received.path,
        "bytes": received.size,
        "digest": received.digest,
        "received_at": now,
        "transfer": transfer.id,
    }
    connection.execute(_INSERT_INSTANCE, values)
    connection.execute(
        "UPDATE series SET waiting = 1, last_received_at = ?, last_received_s = ?, "
        "first_received_at = coalesce(first_received_at, ?), header = coalesce(header, ?), "
        "other_patients = other_patients + ?, derived = derived + ? WHERE id = ?",
        (
            now,
            received.at_s,
            now,
            None if series["header"] else json.dumps(asdict(header)),
            _is_of_other_patient(header, series["header"]),
            header.derived,
            series["id"],
        ),
    )


def _is_of_other_patient(header: InstanceHeader, first: str | None) -> bool:
    """Whether an instance contradicts the first one of its series; one of an earlier version has no patient."""
    known = json.loads(first).get("patient") if first else None
    return None not in (known, header.patient) and known != header.patient


def _series(connection: Connection, study_uid: str, series_uid: str) -> Row:
    """The row of a series, which is made where there is none."""
    query = "SELECT id, header FROM series WHERE study_uid = ? AND series_uid = ?"
    found: Row | None = connection.execute(query, (study_uid, series_uid)).fetchone()
    if found is not None:
        return found
    connection.execute("INSERT INTO series (study_uid, series_uid) VALUES (?, ?)", (study_uid, series_uid))
    return _series(connection, study_uid, series_uid)

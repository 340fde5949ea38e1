"""The SQLite file of the worklist's index. It is a cache: any other file is replaced by an empty one."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from services.common.labels import LABELS
from services.common.private_folder import FOLDER_MODE, open_private

_VERSION: Final = 1  # of the tables; another version of the file is replaced
_PROBABILITIES: Final = ", ".join(f"p_{label} REAL" for label in LABELS)
_PREDICTIONS: Final = ", ".join(f"is_{label} INTEGER" for label in LABELS)
_TABLES: Final = f"""
CREATE TABLE jobs (job TEXT PRIMARY KEY, sender TEXT NOT NULL, settled INTEGER NOT NULL, checked REAL NOT NULL)
    WITHOUT ROWID;
CREATE TABLE entries (
    job TEXT NOT NULL, number INTEGER NOT NULL, sender TEXT NOT NULL, status TEXT NOT NULL,
    received TEXT NOT NULL, reported TEXT, priority TEXT NOT NULL, source TEXT, slices INTEGER,
    present INTEGER, warnings INTEGER NOT NULL, {_PROBABILITIES}, {_PREDICTIONS}, reason TEXT, reason_detail TEXT,
    key_slice INTEGER, blood INTEGER NOT NULL, series_description TEXT, study_description TEXT, acquired TEXT,
    patient TEXT, patient_name TEXT, agree INTEGER NOT NULL, disagree INTEGER NOT NULL, uncertain INTEGER NOT NULL,
    text TEXT NOT NULL, newest INTEGER NOT NULL, newest_acquired INTEGER NOT NULL, description_key TEXT NOT NULL,
    status_rank INTEGER NOT NULL, priority_rank INTEGER NOT NULL,
    PRIMARY KEY (job, number)
);
CREATE INDEX by_received ON entries (newest, job, number);
CREATE INDEX by_acquired ON entries (newest_acquired, newest, job, number);
CREATE INDEX by_description ON entries (description_key, newest, job, number);
CREATE INDEX by_status ON entries (status_rank, newest, job, number);
CREATE INDEX by_priority ON entries (priority_rank, newest, job, number);
CREATE INDEX by_patient ON entries (patient);
"""


class Database:
    """Connections to the file: one for writing, and a pool of connections for reading.

    Parameters
    ----------
    contents : settings that decide which data the file holds; a file with others is replaced
    """

    def __init__(self, path: Path, contents: str) -> None:
        self.path = path
        self._contents = contents
        self._readers: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._open_readers: list[sqlite3.Connection] = []
        self.writer: sqlite3.Connection

    def open(self) -> None:
        """Open the file; replace it where it is damaged or has other contents."""
        self.path.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        try:
            self.writer = self._usable()
        except sqlite3.DatabaseError:
            self._remove()
            self.writer = self._usable()

    def replace(self) -> None:
        """Make the file anew; connections that read the old one are not used again."""
        self.writer.close()
        self._remove()
        self._readers = SimpleQueue()
        self.open()

    def _usable(self) -> sqlite3.Connection:
        """The writing connection; the file is made, for this user only, where it is absent or has other contents.

        Raises
        ------
        sqlite3.DatabaseError
            the file is damaged
        """
        with open(self.path, "ab", opener=open_private):
            pass
        connection = self._connect()
        try:
            stamp = f"{_VERSION} {self._contents}"
            connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
            connection.execute("CREATE TABLE IF NOT EXISTS stamp (value TEXT)")
            found = connection.execute("SELECT value FROM stamp").fetchone()
            if found is None:
                connection.executescript(_TABLES)
                connection.execute("INSERT INTO stamp VALUES (?)", (stamp,))
            elif found[0] != stamp:
                raise sqlite3.DatabaseError  # noqa: TRY301 - replaced as a damaged one is
        except BaseException:
            connection.close()
            raise
        return connection

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.remove(f"{self.path}{suffix}")  # noqa: PTH107 - a name with a suffix

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA secure_delete = ON")
        return connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for one thread at a time; all queries of the context see the same state."""
        readers = self._readers
        try:
            connection = readers.get_nowait()
        except Empty:
            connection = self._connect()
            self._open_readers.append(connection)
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            readers.put(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The writing connection in a transaction, for the index's own thread."""
        self.writer.execute("BEGIN IMMEDIATE")
        try:
            yield self.writer
        except BaseException:
            self.writer.execute("ROLLBACK")
            raise
        self.writer.execute("COMMIT")

    def truncate_log(self) -> None:
        """Empty the write-ahead log, which holds deleted rows until then."""
        self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close all connections."""
        for connection in (*self._open_readers, self.writer):
            connection.close()
        self._open_readers.clear()
        self._readers = SimpleQueue()

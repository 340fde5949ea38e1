"""The registry's SQLite database: durable transactions of one writer at a time, beside readers in any thread."""

import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, LifoQueue
from threading import RLock
from typing import Final

from services.common.private_folder import open_private
from services.dicom_node.registry.schema import MIGRATIONS

_BUSY_S: Final = 30.0  # the commands `resend` and `forget` write in a process of their own
_CACHE_KIB: Final = 2048
_READERS: Final = 4  # connections that are kept


class NewerDatabase(Exception):
    """A newer version of this software wrote the database. The message names it and the remedy."""


class Database:
    """One database in WAL mode (https://www.sqlite.org/wal.html). All methods may be called from any thread.

    A transaction is on the disk when its context ends: `synchronous=FULL` flushes the log at every commit.

    Raises
    ------
    NewerDatabase
        its schema is newer than the last of `migrations`
    """

    def __init__(self, path: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
        self._path = path
        os.close(open_private(str(path), os.O_RDWR | os.O_CREAT))  # the log files get the same mode
        self._readers: LifoQueue[sqlite3.Connection] = LifoQueue(_READERS)
        self._lock = RLock()
        self._closed = False
        self._writer = self._connect()
        try:
            self._migrate(migrations)
            self.node_id = self._node_id()
        except BaseException:
            self.close()
            raise

    def trace_seed(self, assessment: int) -> str:
        """Names the trace of an assessment of this node, by its id."""
        return f"{self.node_id}-trace-{assessment}"

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction, which is rolled back where the context raises. Keep it short: it excludes other writers."""
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for queries, which all see the same state."""
        connection = self._reader()
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.execute("ROLLBACK")
            self._keep(connection)

    def close(self) -> None:
        """Close all connections; one in use, when its context ends."""
        self._closed = True
        with self._lock:
            self._writer.close()
        while not self._readers.empty():
            self._readers.get_nowait().close()

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._readers.get_nowait()
        except Empty:
            connection = self._connect()
            connection.execute("PRAGMA query_only=ON")
            return connection

    def _keep(self, connection: sqlite3.Connection) -> None:
        if self._closed or self._readers.full():
            connection.close()
        else:
            self._readers.put(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"cache_size=-{_CACHE_KIB}"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _migrate(self, migrations: Sequence[str]) -> None:
        with self.write() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > len(migrations):
                raise NewerDatabase(
                    f"{self._path} has version {version} of the schema; this software knows {len(migrations)}: "
                    "start the newer software, or set ICH_NODE_DATA_DIR to another folder"
                )
            for script in migrations[version:]:
                for statement in _statements(script):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version={len(migrations)}")

    def _node_id(self) -> str:
        """The random id of this node, made once."""
        with self.write() as connection:
            connection.execute(
                "INSERT INTO node SELECT ? WHERE NOT EXISTS (SELECT * FROM node)", (secrets.token_hex(16),)
            )
            return str(connection.execute("SELECT id FROM node").fetchone()["id"])


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, each on lines of its own: `executescript` would commit the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""

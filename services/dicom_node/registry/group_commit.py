"""Commits the changes of several threads together: one flush of the disk serves all that wait for it."""

from collections.abc import Callable
from sqlite3 import Connection
from threading import Lock
from typing import Generic, TypeVar

from services.dicom_node.registry.database import Database

T = TypeVar("T")


class _Change(Generic[T]):
    def __init__(self, apply: Callable[[Connection], T]) -> None:
        self.apply = apply
        self.done = False
        self.error: BaseException | None = None
        self.result: T | None = None

    def run(self, connection: Connection) -> None:
        """Apply it; after an error, undo this change alone."""
        connection.execute("SAVEPOINT change")
        try:
            self.result = self.apply(connection)
        except Exception as error:  # noqa: BLE001 - raised in the thread whose change it is
            self.error = error
            connection.execute("ROLLBACK TO change")
        connection.execute("RELEASE change")


class GroupCommit:
    """The first thread that gets its turn commits all changes that wait at this moment."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = Lock()
        self._waiting: list[_Change[object]] = []
        self._lock = Lock()

    def run(self, apply: Callable[[Connection], T]) -> T:
        """Apply a change in a transaction; it is durable when this returns. Raises the error of the change."""
        change = _Change(apply)
        with self._lock:
            self._waiting.append(change)  # type: ignore[arg-type] # each result goes back to its own caller
        with self._turn:
            if not change.done:
                self._commit_all()
        if change.error:
            raise change.error
        return change.result  # type: ignore[return-value] # None only where T has it

    def _commit_all(self) -> None:
        with self._lock:
            changes, self._waiting = self._waiting, []
        try:
            with self._database.write() as connection:
                for change in changes:
                    change.run(connection)
        except BaseException as error:
            for change in changes:
                change.error = change.error or error
            raise
        finally:
            for change in changes:
                change.done = True

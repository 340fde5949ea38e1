"""The worklist's index: rows that a background thread writes, and pages that requests read."""

import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.gateway.jobs.store import WORKLIST
from services.gateway.worklist.database import Database
from services.gateway.worklist.rows import COLUMNS, UNPLANNED, Row

FILE: Final = f"{WORKLIST}/index.sqlite"
_VALUES: Final = [name for name in COLUMNS if name not in ("job", "number")]
_PUT: Final = f"""INSERT INTO entries ({", ".join(COLUMNS)}) VALUES ({", ".join(f":{name}" for name in COLUMNS)})
    ON CONFLICT DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _VALUES)}
    WHERE ({", ".join(_VALUES)}) IS NOT ({", ".join(f"excluded.{name}" for name in _VALUES)})"""  # noqa: S608 - names of columns


@dataclass(frozen=True, slots=True)
class KnownJob:
    """A job of the index; a settled one has ended, and its rows are complete."""

    job: str
    sender: str
    settled: bool


@dataclass(slots=True)
class Changes:
    """Changes that are written in one transaction.

    observed : jobs by id, with sender, and whether they are settled
    planned : ids of jobs that have series, so that their entry without number goes
    """

    rows: list[Row] = field(default_factory=list)
    observed: dict[str, tuple[str, bool]] = field(default_factory=dict)
    planned: set[str] = field(default_factory=set)
    removed: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.rows or self.observed or self.removed)

    def rows_of(self, sender: str) -> list[Row]:
        """The rows of a sender's jobs."""
        return [row for row in self.rows if row["sender"] == sender]

    def removed_of(self, sender: str) -> list[tuple[str]]:
        """The removed jobs of a sender."""
        return [(job,) for job, owner in self.removed.items() if owner == sender]

    @property
    def senders(self) -> set[str]:
        """Senders whose lists may change."""
        return {row["sender"] for row in self.rows} | set(self.removed.values())


class WorklistIndex:
    """Rows in the order of their jobs' changes, with a version for each sender's part of the list.

    Parameters
    ----------
    folder : of the jobs
    contents : settings that decide which data the rows hold
    """

    def __init__(self, folder: Path, contents: str) -> None:
        self.database = Database(folder / FILE, contents)
        self._first = time.time_ns() // 1_000_000  # so that versions grow over restarts
        self._versions: dict[str, int] = {}
        self._latest = self._first
        self._lock = threading.Lock()
        self.complete = False

    def open(self) -> None:
        """Open the file, or make it."""
        self.complete = False
        self.database.open()

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def version(self, sender: str | None) -> int:
        """The version of a sender's part of the list; of the whole list for None."""
        with self._lock:
            return self._latest if sender is None else self._versions.get(sender, self._first)

    def apply(self, changes: Changes) -> None:
        """Write the changes, and count a version for each sender whose list they change."""
        observed = [(job, sender, settled, time.time()) for job, (sender, settled) in changes.observed.items()]
        with self.database.writing() as connection:
            changed = [sender for sender in changes.senders if _apply_to_sender(connection, changes, sender)]
            connection.executemany(
                "DELETE FROM entries WHERE job = ? AND number = ?", [(job, UNPLANNED) for job in changes.planned]
            )
            connection.executemany("DELETE FROM jobs WHERE job = ?", [(job,) for job in changes.removed])
            connection.executemany("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?)", observed)
        self._count(changed)
        if changes.removed:
            self.database.truncate_log()

    def replace(self) -> None:
        """Replace a damaged file by an empty one."""
        self.database.replace()
        self.complete = False
        self._count(self._versions)

    def set_complete(self) -> None:
        """All jobs are in the index."""
        if not self.complete:
            self.complete = True
            self._count(self._versions)

    def _count(self, senders: Iterable[str]) -> None:
        with self._lock:
            for sender in list(senders):
                self._latest += 1
                self._versions[sender] = self._latest

    def known(self) -> dict[str, KnownJob]:
        """All jobs of the index, by id."""
        found = self.database.writer.execute("SELECT job, sender, settled FROM jobs")
        return {job: KnownJob(job, sender, bool(settled)) for job, sender, settled in found}

    def least_recently_checked(self, count: int) -> list[KnownJob]:
        """Settled jobs whose files were not read for the longest time."""
        query = "SELECT job, sender, settled FROM jobs WHERE settled ORDER BY checked LIMIT ?"
        return [KnownJob(*row) for row in self.database.writer.execute(query, (count,))]


def _apply_to_sender(connection: sqlite3.Connection, changes: Changes, sender: str) -> bool:
    """Write the rows of one sender; whether any differs from before."""
    removed = connection.executemany("DELETE FROM entries WHERE job = ?", changes.removed_of(sender)).rowcount
    return connection.executemany(_PUT, changes.rows_of(sender)).rowcount + removed > 0

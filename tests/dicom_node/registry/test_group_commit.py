import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection
from threading import Event

import pytest

from services.dicom_node.registry.database import Database
from services.dicom_node.registry.group_commit import GroupCommit


class Counting(Database):
    """Counts commits; the first waits for `go`, and those that fail are undone."""

    def __init__(self, path: Path) -> None:
        self.commits, self.fail = 0, False
        self.go, self.entered = Event(), Event()
        self.go.set()
        super().__init__(path)
        self.commits = 0

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            self.entered.set()
            self.go.wait(30)
            yield connection
            if self.fail:
                raise sqlite3.OperationalError("database or disk is full")
        self.commits += 1


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Counting]:
    opened = Counting(tmp_path / "registry.sqlite")
    yield opened
    opened.close()


def insert(connection: Connection, peer: str | None) -> int:
    statement = "INSERT INTO transfers (kind, peer, began_at) VALUES ('pull', ?, '') RETURNING id"
    return int(connection.execute(statement, (peer,)).fetchone()["id"])


def peers(database: Database) -> list[str]:
    with database.read() as connection:
        return [row["peer"] for row in connection.execute("SELECT peer FROM transfers ORDER BY peer")]


def test_threads_that_wait_share_a_commit(database: Counting) -> None:
    commits = GroupCommit(database)
    database.go.clear()
    database.entered.clear()
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(commits.run, lambda connection: insert(connection, "first"))
        database.entered.wait(30)
        others = [
            pool.submit(commits.run, lambda connection, peer=str(number): insert(connection, peer))
            for number in range(8)
        ]
        while len(commits._waiting) < 8:
            pass
        database.go.set()
        ids = {first.result(), *(other.result() for other in others)}
    assert len(ids) == 9
    assert database.commits == 2
    assert peers(database) == [*map(str, range(8)), "first"]


def test_a_change_that_fails_undoes_nothing_of_others(database: Counting) -> None:
    commits = GroupCommit(database)
    with pytest.raises(sqlite3.IntegrityError):
        commits.run(lambda connection: (insert(connection, "half"), insert(connection, None)))
    commits.run(lambda connection: insert(connection, "whole"))
    assert peers(database) == ["whole"]


def test_a_commit_that_fails_is_the_error_of_all(database: Counting) -> None:
    commits = GroupCommit(database)
    database.fail = True
    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        commits.run(lambda connection: insert(connection, "lost"))
    database.fail = False
    commits.run(lambda connection: insert(connection, "kept"))
    assert peers(database) == ["kept"]

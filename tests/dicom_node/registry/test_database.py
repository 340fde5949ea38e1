import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.dicom_node.registry.database import Database, NewerDatabase
from services.dicom_node.registry.schema import MIGRATIONS
from tests.running import ROOT

WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from services.dicom_node.registry.database import Database
database = Database(Path(sys.argv[1]))
with database.write() as connection:
    connection.execute("INSERT INTO transfers (kind, peer, began_at) VALUES ('pull', 'written', '')")
with database.write() as connection:
    connection.execute("INSERT INTO transfers (kind, peer, began_at) VALUES ('pull', 'unfinished', '')")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def peers(database: Database) -> list[str]:
    with database.read() as connection:
        return [row["peer"] for row in connection.execute("SELECT peer FROM transfers ORDER BY id")]


def insert(database: Database, peer: str) -> None:
    with database.write() as connection:
        connection.execute("INSERT INTO transfers (kind, peer, began_at) VALUES ('pull', ?, '')", (peer,))


def test_a_node_keeps_its_id(tmp_path: Path) -> None:
    ids = set()
    for _ in range(2):
        database = Database(tmp_path / "registry.sqlite")
        ids.add(database.node_id)
        database.close()
    assert len(ids) == 1
    assert ids != {Database(tmp_path / "other.sqlite").node_id}


def test_it_is_durable_and_private(tmp_path: Path) -> None:
    database = Database(tmp_path / "registry.sqlite")
    insert(database, "a")
    with database.write() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2, "FULL"
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("registry.sqlite", "registry.sqlite-wal", "registry.sqlite-shm"), 0o600)
    database.close()


def test_a_killed_process_leaves_whole_transactions_only(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    killed = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(path)], cwd=ROOT, check=False)
    assert killed.returncode < 0
    database = Database(path)
    assert peers(database) == ["written"]
    database.close()


def test_an_error_rolls_the_transaction_back(tmp_path: Path) -> None:
    database = Database(tmp_path / "registry.sqlite")
    with pytest.raises(sqlite3.IntegrityError), database.write() as connection:
        connection.executemany("INSERT INTO transfers (kind, peer, began_at) VALUES ('pull', ?, '')", [("a",), (None,)])
    insert(database, "b")
    assert peers(database) == ["b"]
    database.close()


def test_threads_write_one_after_the_other_while_others_read(tmp_path: Path) -> None:
    database = Database(tmp_path / "registry.sqlite")
    with ThreadPoolExecutor(8) as pool:
        for number in range(40):
            pool.submit(insert, database, str(number))
        seen = [pool.submit(peers, database) for _ in range(20)]
        assert all(len(future.result()) <= 40 for future in seen)
    assert len(peers(database)) == 40
    database.close()


def test_a_reader_sees_one_state(tmp_path: Path) -> None:
    database = Database(tmp_path / "registry.sqlite")
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM transfers").fetchone()[0] == 0
        insert(database, "a")
        assert connection.execute("SELECT count(*) FROM transfers").fetchone()[0] == 0
    assert peers(database) == ["a"]
    database.close()


def test_readers_cannot_write(tmp_path: Path) -> None:
    database = Database(tmp_path / "registry.sqlite")
    with pytest.raises(sqlite3.OperationalError, match="readonly"), database.read() as connection:
        connection.execute("DELETE FROM transfers")
    database.close()


def test_a_database_moves_to_the_next_version_with_its_content(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    database = Database(path)
    insert(database, "a")
    database.close()
    later = (*MIGRATIONS, "ALTER TABLE transfers ADD COLUMN note TEXT;\nCREATE INDEX notes ON transfers (note);")
    for _ in range(2):
        database = Database(path, later)
        assert peers(database) == ["a"]
        with database.read() as connection:
            assert connection.execute("SELECT note FROM transfers").fetchone()["note"] is None
        database.close()
    with pytest.raises(NewerDatabase, match=f"version {len(later)} .* ICH_NODE_DATA_DIR"):
        Database(path)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    Database(path).close()
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        Database(path, (*MIGRATIONS, "CREATE TABLE half (id);\nDROP TABLE missing;"))
    database = Database(path)
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone()[0] == 0
    database.close()


def test_ids_of_removed_rows_are_not_used_again(tmp_path: Path) -> None:
    """UIDs of results derive from them."""
    database = Database(tmp_path / "registry.sqlite")
    ids = []
    for _ in range(2):
        with database.write() as connection:
            ids.append(connection.execute("INSERT INTO series (study_uid, series_uid) VALUES ('1', '2')").lastrowid)
            connection.execute("DELETE FROM series")
    assert len(set(ids)) == 2
    database.close()

"""`python -m tests.dicom_node.send.killed_sender FOLDER PORT MOST`: sends, and is killed at each commit in turn.

For each moment before or after a commit, a process sends a new assessment until it kills itself there, and another one
sends the rest. Prints the number of moments that were reached. Processes are forked, since their start takes a second.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection

from services.dicom_node.peers import Peer
from services.dicom_node.registry.database import Database
from services.dicom_node.send.sender import destinations
from tests.dicom_node.send.built import SOP_CLASSES, BuiltRegistry
from tests.dicom_node.send.sending import all_at, sending, until


class KillingDatabase(Database):
    """Kills the process at a moment around a commit, counted from 1."""

    at = 0
    moments = 0

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self._moment()
        with super().write() as connection:
            yield connection
        self._moment()

    def _moment(self) -> None:
        self.moments += 1
        if self.moments == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def send(folder: Path, peer: Peer, at: int) -> int:
    """Send what is pending; the number of moments."""
    database = KillingDatabase(folder / "registry.sqlite")
    database.at, database.moments = at, 0
    registry = BuiltRegistry(folder, database)
    with sending(registry, peer, commitment_wait_s=5.0, commitment_timeout_s=0.3):
        until(all_at(registry, "committed"))
        return database.moments


def forked(folder: Path, peer: Peer, at: int) -> bool:
    """Whether a process that sends was killed; raises where it failed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            send(folder, peer, at)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def main(folder: Path, port: int, most: int) -> None:
    values = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port, "send": frozenset(SOP_CLASSES)}
    peer = Peer.model_validate(values)
    at, killed = 0, True
    while killed and at < most:
        at += 1
        case = folder / str(at)
        case.mkdir()
        registry = BuiltRegistry(case)
        registry.add(["sr", "segmentation"], destinations({"pacs": peer}))
        registry.database.close()
        killed = forked(case, peer, at)
        if killed:
            assert not forked(case, peer, 0)
    print(at - 1 if not killed else at)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

"""A folder on disk that an upload lives in while it is worked on. Files there are numbered, never named."""

import errno
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from anyio import to_thread

from services.common.problems import Problem

_PREFIX: Final = "upload-"


class SpoolFull(Problem):
    status = 503
    code = "no_space"
    title = "There is no room for the upload now"
    retry_after_s = 30


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file as it was sent: its name goes back to its sender and nowhere else."""

    name: str
    path: Path
    size: int


class SpoolFolder:
    """Hands out numbered files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._count = 0

    def create(self) -> BinaryIO:
        """A new empty file, open for writing; its `name` is its path."""
        self._count += 1
        return (self.path / f"{self._count:06d}").open("xb")


class Spool:
    """Keeps one folder for each request. One gateway owns one spool."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self) -> None:
        """Make the spool, and sweep what a crash left there (and nothing else that may stand in that folder)."""
        self._root.mkdir(parents=True, exist_ok=True)
        for left in self._root.glob(f"{_PREFIX}*"):
            _remove(left)

    @asynccontextmanager
    async def folder(self) -> AsyncIterator[SpoolFolder]:
        """A folder for one request, removed at its end; SpoolFull where the disk has no room for one."""
        with full_disk_as_problem("uploads"):
            path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._root))
        try:
            yield SpoolFolder(path)
        finally:
            await to_thread.run_sync(_remove, path)


@contextmanager
def full_disk_as_problem(what: str) -> Iterator[None]:
    """Let a full disk be answered as SpoolFull: what it was to keep is not accepted."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise SpoolFull(f"the disk that {what} are kept on is full; nothing was accepted") from error
        raise


def is_full(error: OSError) -> bool:
    """Whether a disk, or a sender's share of it, has no room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)

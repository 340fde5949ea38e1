"""Folders on disk for uploads that are being processed. Their files have numbers, never the client's names."""

import errno
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from anyio import to_thread

from services.common.private_folder import make_private, open_private
from services.common.problems import Problem

_PREFIX: Final = "upload-"


class SpoolFull(Problem):
    status = 503
    code = "no_space"
    title = "No disk space for the upload"
    retry_after_s = 30


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file as it was sent. Its name goes back to its sender and nowhere else."""

    name: str
    path: Path
    size: int


class SpoolFolder:
    """Creates numbered files in one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._count = 0

    def create(self) -> BinaryIO:
        """A new empty file, open for writing; its `name` is its path."""
        self._count += 1
        return open(self.path / f"{self._count:06d}", "xb", opener=open_private)


class Spool:
    """A folder for each request. One gateway owns one spool.

    Parameters
    ----------
    setting
        name of the setting that holds the folder, for messages
    """

    def __init__(self, root: Path, setting: str = "ICH_GATEWAY_SPOOL_DIR") -> None:
        self._root = root
        self._setting = setting

    def open(self) -> None:
        """Create the spool for this user only, and remove folders that a crash left; other files remain.

        Raises
        ------
        UnsafeFolder
            another user made the folder
        """
        make_private(self._root, self._setting)
        for left in self._root.glob(f"{_PREFIX}*"):
            _remove(left)

    @asynccontextmanager
    async def folder(self) -> AsyncIterator[SpoolFolder]:
        """A folder for one request, removed at the end of the context; SpoolFull where the disk is full."""
        with full_disk_as_problem("uploads"):
            path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._root))
        try:
            yield SpoolFolder(path)
        finally:
            await to_thread.run_sync(_remove, path)


@contextmanager
def full_disk_as_problem(what: str) -> Iterator[None]:
    """Raise SpoolFull where the disk of `what` is full: nothing of the request is accepted."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise SpoolFull(f"the disk of the {what} is full; nothing was accepted") from error
        raise


def is_full(error: OSError) -> bool:
    """Whether a disk or a quota is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)

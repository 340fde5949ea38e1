"""Storage of jobs at an fsspec address whose backend has exclusive creation (mode `xb`), such as S3."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, Final

from fsspec.core import url_to_fs

from services.common.private_folder import FOLDER_MODE

_MANIFEST: Final = "manifest.jsonl"
_COPIES: Final = "fetched-"


class FsspecStorage:
    """An fsspec address. A write that an object store has acknowledged is durable.

    Parameters
    ----------
    url
        address of the root
    spool
        local folder for copies
    """

    def __init__(self, url: str, spool: Path) -> None:
        self._spool = spool
        self._files: Any
        self._files, self._root = url_to_fs(url, use_listings_cache=False)

    def create(self, key: str, content: bytes) -> bool:
        path = self._path(key)
        self._files.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
        try:
            with self._files.open(path, "xb") as file:
                file.write(content)
        except FileExistsError:
            return False
        return True

    def store_folder(self, folder: Path, key: str) -> None:
        """Upload the manifest last."""
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        manifest = [path for path in found if path.name == _MANIFEST]
        for paths in ([path for path in found if path.name != _MANIFEST], manifest):
            targets = [self._path(f"{key}/{path.relative_to(folder).as_posix()}") for path in paths]
            for parent in {str(PurePosixPath(target).parent) for target in targets}:
                self._files.makedirs(parent, exist_ok=True)
            self._files.put([str(path) for path in paths], targets)

    def get(self, key: str) -> bytes:
        content: bytes = self._files.cat_file(self._path(key))
        return content

    def exists(self, key: str) -> bool:
        return bool(self._files.exists(self._path(key)))

    def names(self, key: str) -> list[str]:
        path = self._path(key)
        self._files.invalidate_cache(path)
        try:
            return sorted(PurePosixPath(found).name for found in self._files.ls(path, detail=False))
        except FileNotFoundError:
            return []

    def remove(self, key: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm(self._path(key), recursive=True)

    @contextmanager
    def local_copies(self, keys: Sequence[str]) -> Iterator[list[Path]]:
        """Downloads in a temporary folder."""
        self._spool.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_COPIES, dir=self._spool) as folder, _in_use(Path(folder)):
            paths = [Path(folder) / f"{number:06d}" for number in range(len(keys))]
            self._files.get([self._path(key) for key in keys], [str(path) for path in paths])
            yield paths

    def remove_leftovers(self) -> None:
        """Remove copies without a living worker. Their age does not count, since a clock may jump."""
        for folder in self._spool.glob(f"{_COPIES}*"):
            with suppress(BlockingIOError, FileNotFoundError), _in_use(folder):
                shutil.rmtree(folder, ignore_errors=True)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"


@contextmanager
def _in_use(folder: Path) -> Iterator[None]:
    """Lock a folder, which the kernel unlocks with its process; BlockingIOError where another process uses it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)

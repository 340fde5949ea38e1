"""Storage of jobs: a local folder here, object storage in `object_storage.py`. Keys are relative paths."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from services.common.durable_files import fsync
from services.common.private_folder import FOLDER_MODE, open_private

_TRASH: Final = "trash"
_CONCURRENT_SYNCS: Final = 16  # a journalling file system commits many files in about the time of one


class Storage(Protocol):
    """Files under keys. Every write is complete and durable when the method returns.

    Raises
    ------
    FileNotFoundError
        the key does not exist
    OSError
        the storage is full or broken
    """

    def create(self, key: str, content: bytes) -> bool:
        """Write a file atomically, unless the key exists: whether this call wrote it."""

    def store_folder(self, folder: Path, key: str) -> None:
        """Move or copy a local folder to a key; `manifest.jsonl` appears together with the other files, or last."""

    def get(self, key: str) -> bytes:
        """The content of a file."""

    def exists(self, key: str) -> bool:
        """Whether there is such a file."""

    def names(self, key: str) -> list[str]:
        """Sorted names of the entries of a folder; empty where there is no folder."""

    def remove(self, key: str) -> None:
        """Remove a file or folder, if it exists."""

    def local_copies(self, keys: Sequence[str]) -> AbstractContextManager[list[Path]]:
        """Local files with the contents of these keys, for the time of the context."""

    def remove_leftovers(self) -> None:
        """Remove temporary files that a crash left."""


class LocalStorage:
    """A local folder, written durably: `sync` flushes each file and folder to the disk."""

    def __init__(self, root: Path, sync: Callable[[Path], None] = fsync) -> None:
        self._root = root
        self._sync = sync

    def create(self, key: str, content: bytes) -> bool:
        """Write a temporary file and link it, since a link fails where the name exists."""
        path = self._root / key
        self._make_folder(path.parent)
        part = path.with_name(f".{secrets.token_hex(8)}")
        try:
            with open(part, "xb", opener=open_private) as file:
                file.write(content)
            self._sync(part)
            os.link(part, path)
        except FileExistsError:
            return False
        finally:
            part.unlink(missing_ok=True)
        self._sync(path.parent)
        return True

    def store_folder(self, folder: Path, key: str) -> None:
        """Rename the folder, which must be on the same disk: all files appear in one step."""
        path = self._root / key
        found = list(folder.rglob("*"))
        with ThreadPoolExecutor(_CONCURRENT_SYNCS) as pool:
            list(pool.map(self._sync, [*found, folder]))
        self._make_folder(path.parent)
        folder.rename(path)
        self._sync(path.parent)

    def get(self, key: str) -> bytes:
        return (self._root / key).read_bytes()

    def exists(self, key: str) -> bool:
        return (self._root / key).exists()

    def names(self, key: str) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self._root / key) if name[0] != ".")  # noqa: PTH208 - names, no objects
        except FileNotFoundError:
            return []

    def remove(self, key: str) -> None:
        """Rename to the trash in one step, so that nobody writes into a folder that is half removed; then delete."""
        trash = self._root / _TRASH
        trash.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        removed = trash / secrets.token_hex(8)
        with suppress(FileNotFoundError):
            (self._root / key).rename(removed)
            _delete(removed)

    @contextmanager
    def local_copies(self, keys: Sequence[str]) -> Iterator[list[Path]]:
        """The files themselves."""
        yield [self._root / key for key in keys]

    def remove_leftovers(self) -> None:
        """Empty the trash."""
        trash = self._root / _TRASH
        trash.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        for path in trash.iterdir():
            _delete(path)

    def _make_folder(self, path: Path) -> None:
        """Make a folder and its parents durably."""
        if path.is_dir():
            return
        self._make_folder(path.parent)
        path.mkdir(FOLDER_MODE, exist_ok=True)
        self._sync(path.parent)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

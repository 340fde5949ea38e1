"""Where jobs lie: a folder of this machine, or what fsspec reaches (`remote.py`). Places are relative paths."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

_TRASH: Final = "trash"
_SYNCS_AT_ONCE: Final = 16  # a journal commits many files about as fast as one


class Storage(Protocol):
    """What a store asks of the place that it is on. Every write is whole and durable when it returns.

    OSError where the place is full or broken; FileNotFoundError where what is asked for is not there.
    """

    def create(self, place: str, content: bytes) -> bool:
        """Write a file, or leave the one that is there; whether it was written."""

    def store_folder(self, folder: Path, place: str) -> None:
        """Keep what is in a folder of this machine; its `manifest.jsonl` is never there without the rest."""

    def get(self, place: str) -> bytes:
        """What a file holds."""

    def exists(self, place: str) -> bool:
        """Whether there is such a file."""

    def names(self, place: str) -> list[str]:
        """What is in a folder, sorted; nothing where there is none."""

    def remove(self, place: str) -> None:
        """Remove a file or folder, if it is there."""

    def local_copies(self, places: Sequence[str]) -> AbstractContextManager[list[Path]]:
        """Those files as files of this machine."""

    def sweep(self) -> None:
        """Remove what a crash may have left that has no place."""


def sync(path: Path) -> None:
    """What was written to a file or folder reaches the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class LocalStorage:
    """A folder. Nothing is believed to be on the disk before `sync` said so."""

    def __init__(self, root: Path, sync: Callable[[Path], None] = sync) -> None:
        self._root = root
        self._sync = sync

    def create(self, place: str, content: bytes) -> bool:
        """By a link, which is made only where there is nothing yet."""
        path = self._root / place
        self._make_folder(path.parent)
        part = path.with_name(f".{secrets.token_hex(8)}")
        try:
            part.write_bytes(content)
            self._sync(part)
            os.link(part, path)
        except FileExistsError:
            return False
        finally:
            part.unlink(missing_ok=True)
        self._sync(path.parent)
        return True

    def store_folder(self, folder: Path, place: str) -> None:
        """All in one step, by renaming; `folder` must be on the same disk."""
        path = self._root / place
        found = list(folder.rglob("*"))
        with ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
            list(pool.map(self._sync, [*found, folder]))
        self._make_folder(path.parent)
        folder.rename(path)
        self._sync(path.parent)

    def get(self, place: str) -> bytes:
        return (self._root / place).read_bytes()

    def exists(self, place: str) -> bool:
        return (self._root / place).exists()

    def names(self, place: str) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self._root / place) if name[0] != ".")  # noqa: PTH208 - names, no objects
        except FileNotFoundError:
            return []

    def remove(self, place: str) -> None:
        """First out of sight in one step, so that nobody writes into what is being removed."""
        trash = self._root / _TRASH
        trash.mkdir(parents=True, exist_ok=True)
        gone = trash / secrets.token_hex(8)
        with suppress(FileNotFoundError):
            (self._root / place).rename(gone)
            _sweep(gone)

    @contextmanager
    def local_copies(self, places: Sequence[str]) -> Iterator[list[Path]]:
        """They are here already."""
        yield [self._root / place for place in places]

    def sweep(self) -> None:
        trash = self._root / _TRASH
        trash.mkdir(parents=True, exist_ok=True)
        for left in trash.iterdir():
            _sweep(left)

    def _make_folder(self, path: Path) -> None:
        """Make a folder, and those that it is in, durably."""
        if path.is_dir():
            return
        self._make_folder(path.parent)
        path.mkdir(exist_ok=True)
        self._sync(path.parent)


def _sweep(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

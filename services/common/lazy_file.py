"""Files of a request's body, which are open only while they are read."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


class UnreadableFile(Exception):
    """A file cannot be read, or has changed while it was sent. The message names it."""


class LazyFile:
    """A file that is open only while it is read: one request sends more files than a process may open.

    `on_read` gets the number of bytes of each read. `read` raises UnreadableFile where the file has changed.
    """

    def __init__(self, path: Path, size: int, on_read: Callable[[int], None] = lambda _: None) -> None:
        self._path = path
        self._size = size
        self._on_read = on_read
        self._file: BinaryIO | None = None
        self._position = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to the end or to an offset: httpx measures the length and rewinds."""
        self.close()
        self._position = self._size if whence else offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, count: int = -1) -> bytes:
        try:
            self._file = self._file or self._path.open("rb")
            data = self._file.read(count)
        except OSError as error:
            raise UnreadableFile(f"{self._path}: {error.strerror}") from error
        self._position += len(data)
        changed = self._position > self._size or (not data and self._position < self._size)
        if changed or not data:
            self.close()
        if changed:
            raise UnreadableFile(f"{self._path} changed while it was sent")
        self._on_read(len(data))
        return data

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

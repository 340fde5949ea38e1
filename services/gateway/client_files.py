"""Local files to upload: which ones, and how they are read while they are sent."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from services.gateway.client import ClientError, UsageError
from services.gateway.uploads.archive_formats import is_system_file
from services.gateway.uploads.multipart_form import FORM_FIELD

FilePart = tuple[str, tuple[str, BinaryIO]]


def list_files(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and the files in folders, without hidden ones.

    Raises
    ------
    UsageError
        a path does not exist, or there is no file.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder")
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [file for file in inside if file.is_file() and (file == path or not file.name.startswith("."))]
    if not found:
        raise UsageError(f"{', '.join(map(str, paths))}: there are no files to send")
    return found


def list_hidden_files(paths: Sequence[Path]) -> list[Path]:
    """Files in folders that `list_files` leaves out, except files of the operating system."""
    inside = (file for path in paths if path.is_dir() for file in path.rglob(".*"))
    return sorted(file for file in inside if file.is_file() and not is_system_file(file.name))


class LazyFile:
    """A file that is open only while it is read: one request sends more files than a process may open.

    `on_read` gets the number of bytes of each read. `read` raises ClientError where the file has changed.
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
            raise ClientError(f"{self._path}: {error.strerror}") from error
        self._position += len(data)
        changed = self._position > self._size or (not data and self._position < self._size)
        if changed or not data:
            self.close()
        if changed:
            raise ClientError(f"{self._path} changed while it was sent")
        self._on_read(len(data))
        return data

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


def file_part(name: str, file: LazyFile) -> FilePart:
    """A file of a multipart request."""
    return FORM_FIELD, (utf8_name(name), cast("BinaryIO", file))  # httpx calls only the methods above


def utf8_name(name: str) -> str:
    """A file's name for the request; bytes that are not UTF-8 become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

"""What the commands that call a gateway share: failures in words, waiting, folders, files that are read as they go."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final, cast

import httpx

from services.gateway.form import FORM_FIELD

_POLL_S: Final = 0.3


class Failure(Exception):
    """Something that ends the command; the message is for the person who called it."""


def wait_until_ready(client: httpx.Client, seconds: float) -> None:
    """Return when the gateway can work; Failure where it can't after so many seconds."""
    deadline, why = time.monotonic() + seconds, ""
    while True:
        try:
            answer = client.get("/readyz")
            if answer.is_success:
                return
            why = answer.json().get("detail", "")
        except (httpx.TransportError, ValueError) as error:
            why = type(error).__name__
        if time.monotonic() >= deadline:
            raise Failure(f"{client.base_url} is not ready: {why}")
        time.sleep(_POLL_S)


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, those in folders too; hidden ones are left out."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise Failure(f"{path}: there is no such file or folder")
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [file for file in inside if file.is_file() and not file.name.startswith(".")]
    if not found:
        raise Failure("there are no files to send")
    return found


def counted(number: int, one: str) -> str:
    """A number of things, as people read it."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"


class SentFile:
    """A file that is open only while it is read: thousands go in one request, and few may be open at once.

    `on_bytes` is told how many bytes were read each time. Reading raises Failure where the file is not what it was.
    """

    def __init__(self, path: Path, size: int, on_bytes: Callable[[int], None] = lambda _: None) -> None:
        self._path = path
        self._size = size
        self._on_bytes = on_bytes
        self._file: BinaryIO | None = None
        self._at = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to the end or to a place: how httpx learns the length, and how it begins."""
        self.close()
        self._at = self._size if whence else offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int = -1) -> bytes:
        try:
            self._file = self._file or self._path.open("rb")
            piece = self._file.read(count)
        except OSError as error:
            raise Failure(f"{self._path}: {error.strerror}") from error
        self._at += len(piece)
        changed = self._at > self._size or (not piece and self._at < self._size)
        if changed or not piece:
            self.close()
        if changed:
            raise Failure(f"{self._path} changed while it was sent")
        self._on_bytes(len(piece))
        return piece

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


Part = tuple[str, tuple[str, BinaryIO]]


def part(name: str, file: SentFile) -> Part:
    """A file of a multipart request; a name that is no UTF-8 is sent as near to it as can be."""
    return FORM_FIELD, (sendable(name), cast("BinaryIO", file))  # httpx asks for no more of it than there is


def sendable(name: str) -> str:
    """A file's name as it is sent."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

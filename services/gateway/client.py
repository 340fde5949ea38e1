"""What the commands that call a gateway share: options, failures in words, waiting, files that are read as they go."""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import httpx

from services.gateway.containers import is_system_file
from services.gateway.form import FORM_FIELD

KEY_NAME: Final = "ICH_KEY"
_POLL_S: Final = 0.3


class Failure(Exception):
    """Something that ends the command; the message is for the person who called it."""


class WrongUsage(Failure):
    """The command line names something that cannot be used: the same command would fail again."""


def add_gateway_options(parser: argparse.ArgumentParser) -> None:
    """`--url` and `--key-file`. The key itself is no option: others could read it in the list of processes."""
    parser.add_argument("--url", type=_address, default="http://127.0.0.1:8000", help="the gateway (%(default)s)")
    parser.add_argument("--key-file", type=Path, help=f"a file with the bearer key; else {KEY_NAME} in the environment")


def _address(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as http://127.0.0.1:8000")
    return text


def authorization(key_file: Path | None) -> dict[str, str]:
    """The header that holds the key, if there is one; WrongUsage where that is no key."""
    try:
        key = (key_file.read_text() if key_file else os.environ.get(KEY_NAME, "")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{key_file}: {getattr(error, 'strerror', None) or 'this is not text'}") from error
    if (key_file and not key) or not (key.isascii() and key.isprintable()):
        raise WrongUsage(f"{key_file or KEY_NAME} holds no key: one line of ASCII characters is wanted")
    return {"authorization": f"Bearer {key}"} if key else {}


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """The problem document; empty where a proxy answered in its own words."""
    try:
        document = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return document if isinstance(document, dict) else {}


def unreachable(client: httpx.Client, error: httpx.TransportError) -> str:
    """Words for a gateway that did not answer."""
    return f"{client.base_url} did not answer ({type(error).__name__}): is the gateway running there? See --url"


def wait_until_ready(client: httpx.Client, seconds: float) -> None:
    """Return when the gateway can work; Failure where it can't after so many seconds."""
    deadline, why = time.monotonic() + seconds, ""
    while True:
        try:
            answer = client.get("/readyz")
            if answer.is_success:
                return
            why = f"{client.base_url} is not ready: {problem_of(answer).get('detail') or answer.status_code}"
        except httpx.TransportError as error:
            why = unreachable(client, error)
        if time.monotonic() >= deadline:
            raise Failure(why)
        time.sleep(_POLL_S)


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and those in folders; in these, hidden files are left out.

    Raises
    ------
    WrongUsage
        a path is not there, or there is no file at all.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise WrongUsage(f"{path}: there is no such file or folder")
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [file for file in inside if file.is_file() and (file == path or not file.name.startswith("."))]
    if not found:
        raise WrongUsage(f"{', '.join(map(str, paths))}: there are no files to send")
    return found


def hidden_in(paths: Sequence[Path]) -> list[Path]:
    """Hidden files in folders that `files_of` leaves out, but for those that an operating system adds."""
    inside = (file for path in paths if path.is_dir() for file in path.rglob(".*"))
    return sorted(file for file in inside if file.is_file() and not is_system_file(file.name))


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

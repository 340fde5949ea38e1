"""Changes of the file of keys: under a lock, atomic, and for its owner alone. Comments stay."""

import fcntl
import logging
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

from services.common.durable_files import write_file
from services.common.identity.key_lines import StoredKey, numbered_keys

log = logging.getLogger(__name__)


def stored_keys(path: Path) -> list[StoredKey]:
    """The keys of a file, in its order; ValueError for a malformed one."""
    return [key for _, key in numbered_keys(path.read_text(), path.name)]


def add_key(path: Path, key: StoredKey) -> None:
    """Append a key; the file is made where there is none."""
    with _locked(path):
        text = path.read_text() if path.exists() else ""
        list(numbered_keys(text, path.name))  # a broken file is not extended
        _write(path, [*text.splitlines(), key.line()])


def revoke_keys(path: Path, chosen: Callable[[StoredKey], bool]) -> int:
    """Remove the lines of chosen keys; their number."""
    with _locked(path):
        text = path.read_text()
        removed = {number for number, key in numbered_keys(text, path.name) if chosen(key)}
        if removed:
            _write(path, [line for number, line in enumerate(text.splitlines()) if number not in removed])
    return len(removed)


def hash_keys(path: Path, today: date) -> int:
    """Replace plain keys by their hashes; their number. Senders keep their keys."""
    with _locked(path):
        text = path.read_text()
        lines = text.splitlines()
        plain = {number: key for number, key in numbered_keys(text, path.name) if key.plain}
        for number, key in plain.items():
            lines[number] = replace(key, created=today).line() + _comment(lines[number])
        if plain:
            _write(path, lines)
    return len(plain)


def _comment(line: str) -> str:
    _, mark, comment = line.partition("#")
    return f"  #{comment}" if mark else ""


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock the folder of a file against other changes of keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, lines: Sequence[str]) -> None:
    """Replace the file, also behind a symbolic link. It keeps owner and group, so that the gateway still reads it."""
    target = path.resolve()
    before = target.stat() if target.exists() else None
    if before and before.st_mode & stat.S_IROTH:
        log.warning("%s was readable by all users; now it is readable by the user %d only", path, before.st_uid)
    content = "".join(f"{line}\n" for line in lines).encode()
    write_file(target, content, before)

"""Atomic writes and fingerprints."""

import hashlib
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from training.io.errors import translate_write_errors


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write a temporary file in the same folder, flush it to disk, then rename it to `path`.

    Parameters
    ----------
    write : writes the content to the path that it is given

    Raises
    ------
    TrainingError
        the disk is full or the folder is not writable; an earlier file at `path` stays as it was
    """
    # Not the process id: machines that share a folder may have equal ones.
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    with translate_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(part)
            _flush(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; values that JSON does not know are written as text."""
    text = json.dumps(content, indent=1, default=str) + "\n"
    write_atomically(path, lambda part: part.write_text(text))


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(*parts: Any) -> str:
    """Return 16 hexadecimal digits of a SHA-256 over dataclasses and plain values."""
    plain = [asdict(part) if is_dataclass(part) and not isinstance(part, type) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())

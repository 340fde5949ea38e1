"""Files that are there whole or not at all, and Parquet that knows what it was made of."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.io.errors import writing


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write under another name beside it, make the disk keep it, and only then give it its own name.

    Raises
    ------
    CannotGoOn
        the disk is full or may not be written; what was there before is left as it was
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(part)
            _keep(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _keep(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(*parts: Any) -> str:
    """Sixteen hexadecimal digits over dataclasses and plain values."""
    plain = [asdict(part) if hasattr(part, "__dataclass_fields__") else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def write_json(path: Path, content: Any) -> None:
    """Write beside the file, then in its place."""
    part = path.with_name(path.name + ".part")
    with writing(path):
        part.write_text(json.dumps(content, indent=1, default=str) + "\n")
        part.replace(path)

"""Files that are there whole or not at all, and Parquet that knows what it was made of."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from training.failures import CannotGoOn, writing

_DIGEST: Final = b"ich.digest"


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


def write_table(path: Path, table: Any, digest: str, **options: Any) -> None:
    """A table as Parquet, with the hash of what it was made of."""
    named = table.replace_schema_metadata({**(table.schema.metadata or {}), _DIGEST: digest.encode()})
    write_whole(path, lambda part: pq.write_table(named, part, compression="zstd", **options))


def digest_of(path: Path) -> str | None:
    """What a table was made of; None where there is none, or none of ours."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return None
    found: bytes | None = metadata.get(_DIGEST)
    return found.decode() if found else None


def read_table(path: Path, step: str, columns: list[str] | None = None) -> Any:
    """A table that an earlier step has left.

    Raises
    ------
    CannotGoOn
        it is not there or damaged
    """
    if digest_of(path) is None:
        raise CannotGoOn(f"{path} is missing or damaged: `python -m training {step}` makes it.")
    return pq.read_table(path, columns=columns)


def _keep(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())

"""Parquet that knows its inputs."""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from training.io.errors import CannotGoOn
from training.io.files import write_whole

_DIGEST: Final = b"ich.digest"


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

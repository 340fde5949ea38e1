"""Parquet tables that carry the digest of their inputs."""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from training.io.errors import TrainingError
from training.io.files import write_atomically

_DIGEST_KEY: Final = b"ich.digest"


def write_table(path: Path, table: Any, digest: str, **options: Any) -> None:
    """Write a pyarrow table atomically with the digest of its inputs; `options` go to `pyarrow.parquet.write_table`."""
    named = table.replace_schema_metadata({**(table.schema.metadata or {}), _DIGEST_KEY: digest.encode()})
    write_atomically(path, lambda part: pq.write_table(named, part, compression="zstd", **options))


def table_digest(path: Path) -> str | None:
    """Return the digest that a table carries; None where the file is missing, damaged or of another program."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return None
    found: bytes | None = metadata.get(_DIGEST_KEY)
    return found.decode() if found else None


def read_table(path: Path, step: str, columns: list[str] | None = None) -> Any:
    """Return the pyarrow table that an earlier step has written.

    Raises
    ------
    TrainingError
        the file is missing or damaged
    """
    if table_digest(path) is None:
        raise TrainingError(f"{path} is missing or damaged: `python -m training {step}` makes it.")
    return pq.read_table(path, columns=columns)

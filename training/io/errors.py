"""The error that ends a training command with one sentence, and system errors as such sentences."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class TrainingError(Exception):
    """Names the fault and the remedy in one sentence. The command line prints it without a traceback."""


@contextmanager
def translate_write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError while writing `path` into a TrainingError.

    Raises
    ------
    TrainingError
        the disk is full, or the file or folder is not writable
    """
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise TrainingError(
                f"No space is left for {path}: make room and start the step again; it resumes where it stopped."
            ) from None
        raise TrainingError(f"{path} cannot be written: {error.strerror or error}.") from None

"""How a step of training ends early: with one sentence for the person who started it, and everything kept."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class CannotGoOn(Exception):
    """Why a step cannot go on, in one sentence. The command line prints it and nothing else."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one sentence that a disk is full, or that a file or folder may not be written.

    Raises
    ------
    CannotGoOn
        the system refused to write; what stood there before is left as it was
    """
    try:
        yield
    except OSError as failure:
        if failure.errno in _FULL:
            raise CannotGoOn(
                f"No space is left for {path}: make room and start the step again, it goes on where it stopped."
            ) from None
        raise CannotGoOn(f"{path} cannot be written: {failure.strerror or failure}.") from None

"""The challenge's table of answers: six rows for every test slice, those of no use included."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.common.labels import LABELS
from training.io.errors import TrainingError, translate_write_errors

DIGITS: Final = 6


def slice_name(file: str) -> str:
    """`ID_xxxxxxxxx` of a file's name in the archive."""
    return PurePosixPath(file).stem


def rows(
    answers: Mapping[str, NDArray[np.floating[Any]]], wanted: Iterable[str], usual: Sequence[float]
) -> Iterator[str]:
    """`ID_xxxxxxxxx_<label>,<probability>`; a slice that nothing was said of gets what is usual."""
    for name in wanted:
        for label, value in zip(LABELS, answers.get(name, usual), strict=True):
            yield f"{name}_{label},{float(value):.{DIGITS}f}"


def write_submission(
    path: Path, answers: Mapping[str, NDArray[np.floating[Any]]], wanted: Sequence[str], usual: Sequence[float]
) -> None:
    """Write the table under another name, and give it its own when it is whole.

    Raises
    ------
    TrainingError
        there is no test slice, or the disk is full
    """
    if not wanted:
        raise TrainingError("The archive has no test slices: there is nothing to submit.")
    part = path.with_name(path.name + ".part")
    with translate_write_errors(path):
        part.write_text("\n".join(["ID,Label", *rows(answers, wanted, usual), ""]))
        part.replace(path)

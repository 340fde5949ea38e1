"""Writes the challenge's submission: six rows for every test slice, unusable slices included."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.common.labels import LABELS
from training.io.errors import TrainingError
from training.io.files import write_atomically

DIGITS: Final = 6


def slice_name(file: str) -> str:
    """Return `ID_xxxxxxxxx` of a file's name in the archive."""
    return PurePosixPath(file).stem


def rows(
    predictions: Mapping[str, NDArray[np.floating[Any]]], names: Iterable[str], base_rates: Sequence[float]
) -> Iterator[str]:
    """Yield `ID_xxxxxxxxx_<label>,<probability>`; a slice without prediction gets the base rates, (6,)."""
    for name in names:
        for label, value in zip(LABELS, predictions.get(name, base_rates), strict=True):
            yield f"{name}_{label},{float(value):.{DIGITS}f}"


def write_submission(
    path: Path, predictions: Mapping[str, NDArray[np.floating[Any]]], names: Sequence[str], base_rates: Sequence[float]
) -> None:
    """Write the submission atomically.

    Raises
    ------
    TrainingError
        there is no test slice, or the disk is full
    """
    if not names:
        raise TrainingError("The archive has no test slices: there is nothing to submit.")
    text = "\n".join(["ID,Label", *rows(predictions, names, base_rates), ""])
    write_atomically(path, lambda part: part.write_text(text))

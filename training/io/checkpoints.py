"""Variables on disk: written beside the last file and then in its place, so that a kill leaves one or the other."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.io.errors import CannotGoOn, writing


def save(path: Path, variables: Sequence[Any], **words: float) -> None:
    """Write variables by their order, and numbers by their names.

    Raises
    ------
    CannotGoOn
        the disk is full, or the file can't be written
    """
    arrays = {str(number): np.asarray(variable) for number, variable in enumerate(variables)}
    part = path.with_suffix(".part.npz")
    with writing(path):
        np.savez(part, **{name: np.array(word) for name, word in words.items()}, **arrays)  # type: ignore[arg-type] # an option among the keywords is bool
        part.replace(path)


def restore(path: Path, variables: Sequence[Any]) -> dict[str, float]:
    """Put saved values back; the numbers that were saved beside them.

    Raises
    ------
    CannotGoOn
        the file is broken, or holds the variables of another network
    """
    try:
        with path.open("rb") as file, np.load(file) as held:
            names = [name for name in held.files if name.isdigit()]
            values = [held[str(number)] for number in range(len(names))]
            words = {name: float(held[name]) for name in held.files if not name.isdigit()}
    except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
        raise CannotGoOn(f"{path} is broken or holds no weights: make it again.") from None
    assign(variables, values, str(path))
    return words


def assign(variables: Sequence[Any], values: Sequence[Any], source: str) -> None:
    """Give every variable its value, or none of them.

    Raises
    ------
    CannotGoOn
        count or shapes do not agree
    """
    if [tuple(one.shape) for one in variables] != [tuple(one.shape) for one in values]:
        raise CannotGoOn(f"{source} holds the weights of another network than the one that was configured.")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)

"""Variables in NumPy's .npz files, written atomically."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.io.errors import TrainingError
from training.io.files import write_atomically


def write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write named arrays atomically.

    Raises
    ------
    TrainingError
        the disk is full, or the folder is not writable
    """

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type] # an option among the keywords is bool

    write_atomically(path, write)


def save(path: Path, variables: Sequence[Any], **numbers: float) -> None:
    """Write variables under their index and numbers under their names.

    Raises
    ------
    TrainingError
        the disk is full, or the folder is not writable
    """
    named = {str(index): np.asarray(variable) for index, variable in enumerate(variables)}
    write_arrays(path, {name: np.array(number) for name, number in numbers.items()} | named)


def restore(path: Path, variables: Sequence[Any]) -> dict[str, float]:
    """Assign saved values to variables; return the numbers saved with them.

    Raises
    ------
    TrainingError
        the file is damaged, or holds the variables of another network
    """
    values, numbers = read(path, variables)
    assign(variables, values, str(path))
    return numbers


def read(path: Path, variables: Sequence[Any]) -> tuple[list[NDArray[Any]], dict[str, float]]:
    """Return the saved values of variables, and the numbers saved with them; raises as `restore`."""
    try:
        with path.open("rb") as file, np.load(file) as held:
            names = [name for name in held.files if name.isdigit()]
            values = [held[str(index)] for index in range(len(names))]
            numbers = {name: float(held[name]) for name in held.files if not name.isdigit()}
    except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
        raise TrainingError(f"{path} is damaged or holds no weights: make it again.") from None
    _check_shapes(variables, values, str(path))
    return values, numbers


def assign(variables: Sequence[Any], values: Sequence[Any], source: str) -> None:
    """Assign a value to every variable, or to none.

    Raises
    ------
    TrainingError
        number or shapes differ
    """
    _check_shapes(variables, values, source)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _check_shapes(variables: Sequence[Any], values: Sequence[Any], source: str) -> None:
    if [tuple(one.shape) for one in variables] != [tuple(one.shape) for one in values]:
        raise TrainingError(f"{source} holds the weights of another network than the configured one.")

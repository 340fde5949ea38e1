"""Annotations of the parameters of commands."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from training.io.errors import TrainingError
from training.io.parts import Part, read_part

SHARE = Number(gte=0, lte=1)


def help_text(text: str, validator: Number | None = None) -> Parameter:
    """Return the annotation that gives an option its help text and, optionally, its range."""
    return Parameter(help=text, validator=validator)


PartText = Annotated[
    str | None, help_text("Make only part k of n, given as k/n; each part may run on its own machine.")
]
JoinCount = Annotated[int | None, help_text("Join the n parts after all of them; fails where one is missing.")]


def chosen_part(part: str | None, join: int | None) -> Part | None:
    """Return the part that a command makes; None for the join and for one machine.

    Raises
    ------
    TrainingError
        the part is no k/n, or both options are given
    """
    if part is not None and join is not None:
        raise TrainingError("--part and --join exclude each other: join after all parts have ended.")
    return read_part(part) if part is not None else None

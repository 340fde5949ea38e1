"""Annotations of the parameters of commands."""

from cyclopts import Parameter
from cyclopts.validators import Number

SHARE = Number(gte=0, lte=1)


def help_text(text: str, validator: Number | None = None) -> Parameter:
    """Return the annotation that gives an option its help text and, optionally, its range."""
    return Parameter(help=text, validator=validator)

"""Refuses unknown and repeated query parameters.

A misspelt `operating_point` must not be ignored: the report would have other thresholds than the client asked for.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Final

from fastapi import Request
from fastapi.dependencies.models import Dependant

from services.common.problems import BadRequest

UNCHECKED_TAG: Final = "health"  # a refused cache-buster of a probe would take a working gateway out of service
_MAX_ECHO_LENGTH: Final = 64
_MAX_LISTED: Final = 10


class UnknownParameter(BadRequest):
    code = "unknown_parameter"
    title = "There is no such query parameter"


class RepeatedParameter(BadRequest):
    code = "repeated_parameter"
    title = "A query parameter is given more than once"


async def check_query(request: Request) -> None:
    """Check the query of a request to a documented route: a dependency of the application.

    Raises
    ------
    UnknownParameter
        the route has no parameter of that name; the nearest name is suggested
    RepeatedParameter
        a parameter has several values, and each takes one
    """
    route = request.scope["route"]
    if route.include_in_schema and UNCHECKED_TAG not in route.tags:
        check_names([name for name, _ in request.query_params.multi_items()], sorted(set(_declared(route.dependant))))


def check_names(sent: Sequence[str], known: Sequence[str]) -> None:
    """Check names of parameters; UnknownParameter or RepeatedParameter where one is unknown or repeated."""
    counts = Counter(sent)
    unknown_names = [name for name in counts if name not in known]
    if unknown := [_unknown(name, known) for name in unknown_names[:_MAX_LISTED]]:
        raise UnknownParameter(unknown[0]["reason"], fields=unknown)
    if repeated := [_repeated(name, count) for name, count in counts.items() if count > 1]:
        raise RepeatedParameter(repeated[0]["reason"], fields=repeated)


def _unknown(name: str, known: Sequence[str]) -> dict[str, str]:
    shown = name if len(name) <= _MAX_ECHO_LENGTH else f"{name[:_MAX_ECHO_LENGTH]}…"
    return {"field": f"query.{shown}", "reason": f"unknown query parameter {shown!r}; {_advice(name, known)}"}


def _advice(name: str, known: Sequence[str]) -> str:
    if not known:
        return "this call has no parameters"
    near = get_close_matches(name[:_MAX_ECHO_LENGTH].lower().replace("-", "_"), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"this call has {', '.join(map(repr, known))}"


def _repeated(name: str, count: int) -> dict[str, str]:
    return {"field": f"query.{name}", "reason": f"query parameter {name!r} is given {count} times; give it once"}


def _declared(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from _declared(dependency)

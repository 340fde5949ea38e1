"""Problems in the OpenAPI document: one typed component, to which every error refers (RFC 9457)."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from services.common.problems import Problem

PROBLEM_JSON: Final = "application/problem+json"
_REF: Final = "#/components/schemas/{model}"
_RETRY: Final = {"description": "seconds until it is worth another try", "schema": {"type": "integer"}}
_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "retry-after": _RETRY,
    "www-authenticate": {"description": "how to give a key", "schema": {"type": "string"}},
}


class _Extensible(BaseModel):
    """Newer services may say more."""

    model_config = ConfigDict(frozen=True, extra="allow")


class ProblemFile(_Extensible):
    """A file that is at fault."""

    file: str
    code: str
    reason: str


class ProblemField(_Extensible):
    """A parameter that is at fault."""

    field: str = Field(description="where it stands, and its name: `query.limit`")
    reason: str


class ProblemSeries(_Extensible):
    """One of several series where one was expected."""

    series_instance_uid: str | None
    slices: int
    files: list[str] = Field([])


class ProblemBest(_Extensible):
    """The series to send, and why."""

    series_instance_uid: str | None
    why: str


class ProblemDifference(_Extensible):
    """What differs between two requests under one Idempotency-Key."""

    what: str
    first: str | None = None
    now: str | None = None


class ProblemDetails(_Extensible):
    """Why there is no other answer (RFC 9457). `code` is for programs and stays, `detail` is for people."""

    type: str = Field(description="a URN made from the code")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    code: str
    request_id: str = Field(description="finds the request in the logs of every service")
    files: list[ProblemFile] | None = None
    fields: list[ProblemField] | None = None
    series: list[ProblemSeries] | None = None
    best: ProblemBest | None = None
    differences: list[ProblemDifference] | None = None
    stage: str | None = Field(None, description="which stage of the chain is at fault")
    cause: str | None = Field(None, description="why a service is not ready")
    limit_bytes: int | None = None


def openapi_problem(*problems: Problem, description: str | None = None) -> dict[str, Any]:
    """A response of the OpenAPI document, with examples."""
    examples = {problem.code: {"value": {**problem.document(), "request_id": "4b1c..."}} for problem in problems}
    schema = {"$ref": _REF.format(model=ProblemDetails.__name__)}
    headers = {name: _HEADERS[name] for problem in problems for name in problem.headers() if name in _HEADERS}
    return {
        "description": description or problems[0].title,
        "content": {PROBLEM_JSON: {"schema": schema, "examples": examples}},
        **({"headers": headers} if headers else {}),
    }


# What every operation may answer. It stands for FastAPI's own 422, too, which is never sent.
DEFAULT_RESPONSE: Final[dict[int | str, dict[str, Any]]] = {
    "default": openapi_problem(Problem("an unexpected fault; ..."), description="Any other problem")
}


def extend_openapi(app: FastAPI, extend: Callable[[dict[str, Any]], None]) -> None:
    """Let `extend` change the document when it is first made."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            extend(make())
        return make()

    app.openapi = openapi  # type: ignore[method-assign] # as FastAPI documents it


def add_problem_schemas(document: dict[str, Any]) -> None:
    """Add the component that every error refers to."""
    _, definitions = models_json_schema([(ProblemDetails, "serialization")], ref_template=_REF)
    document.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])

"""Problems in the OpenAPI document: one typed schema that every error refers to (RFC 9457)."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from services.common.problems import Problem

PROBLEM_JSON: Final = "application/problem+json"
_REF: Final = "#/components/schemas/{model}"
_RETRY: Final = {"description": "seconds until the next attempt", "schema": {"type": "integer"}}
_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "retry-after": _RETRY,
    "www-authenticate": {"description": "the authentication scheme", "schema": {"type": "string"}},
}


class _Extensible(BaseModel):
    """Newer services may add members."""

    model_config = ConfigDict(frozen=True, extra="allow")


class ProblemFile(_Extensible):
    """A file at fault."""

    file: str
    code: str
    reason: str


class ProblemField(_Extensible):
    """A parameter at fault."""

    field: str = Field(description="location and name of the parameter, such as `query.limit`")
    reason: str


class ProblemSeries(_Extensible):
    """One of several series where one was expected."""

    series_instance_uid: str | None
    slices: int
    files: list[str] = Field([])


class ProblemBest(_Extensible):
    """The series to send, and the reason."""

    series_instance_uid: str | None
    why: str


class ProblemDifference(_Extensible):
    """A difference between two requests with one Idempotency-Key."""

    what: str
    first: str | None = None
    now: str | None = None


class ProblemDetails(_Extensible):
    """A problem (RFC 9457). `code` is stable and for programs; `detail` is for people."""

    type: str = Field(description="a URN with the code")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    code: str
    request_id: str = Field(description="identifies the request in the logs of every service")
    files: list[ProblemFile] | None = None
    fields: list[ProblemField] | None = None
    series: list[ProblemSeries] | None = None
    best: ProblemBest | None = None
    differences: list[ProblemDifference] | None = None
    stage: str | None = Field(None, description="the stage at fault")
    cause: str | None = Field(None, description="the cause of not being ready, or of refusing a token")
    limit_bytes: int | None = None
    quota: str | None = Field(None, description="the exhausted quota: `jobs`, `bytes` or `series`")
    used: int | None = Field(None, description="how much of the quota is used")
    limit: int | None = Field(None, description="of the quota, or requests in a minute")
    role: str | None = Field(None, description="the role that the sender lacks")


def openapi_problem(*problems: Problem, description: str | None = None) -> dict[str, Any]:
    """A Response Object of the OpenAPI document, with an example of each problem."""
    examples = {problem.code: {"value": {**problem.document(), "request_id": "4b1c..."}} for problem in problems}
    schema = {"$ref": _REF.format(model=ProblemDetails.__name__)}
    headers = {name: _HEADERS[name] for problem in problems for name in problem.headers() if name in _HEADERS}
    return {
        "description": description or problems[0].title,
        "content": {PROBLEM_JSON: {"schema": schema, "examples": examples}},
        **({"headers": headers} if headers else {}),
    }


def add_problem(operation: dict[str, Any], problem: Problem) -> None:
    """Declare a problem in an operation, beside the other problems of its status."""
    added, status = openapi_problem(problem), str(problem.status)
    declared = operation["responses"].get(status)
    if declared is None:
        operation["responses"][status] = added
        return
    content = declared["content"][PROBLEM_JSON]
    examples = content["examples"] | added["content"][PROBLEM_JSON]["examples"]
    headers = declared.get("headers", {}) | added.get("headers", {})
    merged = {**declared, "content": {PROBLEM_JSON: {**content, "examples": examples}}}
    operation["responses"][status] = merged | ({"headers": headers} if headers else {})


# Of every operation. It also replaces FastAPI's own 422, which is never sent.
DEFAULT_RESPONSE: Final[dict[int | str, dict[str, Any]]] = {
    "default": openapi_problem(Problem("unexpected error; ..."), description="Any other problem")
}


def extend_openapi(app: FastAPI, extend: Callable[[dict[str, Any]], None]) -> None:
    """Let `extend` change the document when it is first generated."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            extend(generate())
        return generate()

    app.openapi = openapi  # type: ignore[method-assign] # as FastAPI documents it


def add_problem_schemas(document: dict[str, Any]) -> None:
    """Add the schemas that every error refers to."""
    _, definitions = models_json_schema([(ProblemDetails, "serialization")], ref_template=_REF)
    document.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])

"""Reads small JSON bodies: bounded, and only by a media type that no form of another page can send."""

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from services.common.problems import BadRequest, UnsupportedMediaType
from services.common.request_body import read_body

MAX_JSON_BYTES: Final = 16 * 1024
_JSON: Final = "application/json"
M = TypeVar("M", bound=BaseModel)


def json_body(model: type[M]) -> Callable[[Request], Coroutine[Any, Any, M]]:
    """A dependency that gives the body as a model.

    Raises
    ------
    UnsupportedMediaType
        Content-Type is not application/json
    ContentTooLarge
        the body exceeds `MAX_JSON_BYTES`
    BadRequest
        the body is no JSON, or does not fit the model
    """

    async def read(request: Request) -> M:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            raise UnsupportedMediaType(f"send the header 'Content-Type: {_JSON}'")
        try:
            return model.model_validate_json(bytes(await read_body(request, MAX_JSON_BYTES)))
        except ValidationError as error:
            raise BadRequest("; ".join(map(_sentence, error.errors(include_input=False, include_url=False)))) from None

    return read


def declared_body(model: type[BaseModel]) -> dict[str, Any]:
    """The body in the OpenAPI document."""
    schema = model.model_json_schema()
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": schema}}}}


def _sentence(error: Any) -> str:
    """An error with its place; names of unknown members are left out, since they are the client's text."""
    known = [str(part) for part in error["loc"]] if error["type"] != "extra_forbidden" else []
    message = "a member is unknown" if error["type"] == "extra_forbidden" else str(error["msg"])
    return f"{'.'.join(('body', *known))}: {message}"

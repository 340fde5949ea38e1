"""Responses and request bodies that several routes declare in the OpenAPI document."""

from typing import Any, Final

from services.common.cross_origin import SAFE_METHODS, CrossOriginRequest
from services.common.host_check import UnknownHost
from services.common.identity.problems import TooManyWrongKeys, Unauthorized
from services.common.problem_schemas import openapi_problem
from services.common.problems import BadRequest, ContentTooLarge, Problem, UnsupportedMediaType
from services.gateway.query import RepeatedParameter, UnknownParameter
from services.gateway.shares.upload_shares import TooManyUploads, UploadEnded
from services.gateway.uploads.archives import UnsupportedArchive
from services.gateway.uploads.multipart_form import FORM_FIELD, UnknownField, UnsupportedEncoding
from services.gateway.uploads.upload_problems import RefusedFile, TooCostly, refused_files

Responses = dict[int | str, dict[str, Any]]

_MISSPELT: Final = "unknown query parameter 'operating_piont'; did you mean 'operating_point'?"
INVALID_QUERY: Final = (
    UnknownParameter(_MISSPELT, fields=[{"field": "query.operating_piont", "reason": _MISSPELT}]),
    RepeatedParameter("query parameter 'images' is given 2 times; give it once"),
)
INVALID_PARAMETER: Final = openapi_problem(
    BadRequest("query.limit: Input should be greater than or equal to 1"), *INVALID_QUERY
)
INVALID_JSON: Final[Responses] = {
    400: openapi_problem(BadRequest("body.priority: Input should be 'urgent' or 'routine'"), *INVALID_QUERY),
    413: openapi_problem(ContentTooLarge("the request body exceeds 16384 bytes")),
    415: openapi_problem(UnsupportedMediaType("send the header 'Content-Type: application/json'")),
}
INVALID_UPLOAD: Final = openapi_problem(
    BadRequest("the multipart body is broken"),
    refused_files(UnknownField, [RefusedFile("part 2", UnknownField.code, "the form field 'note' is unknown")]),
    *INVALID_QUERY,
)
UNAUTHORIZED: Final = openapi_problem(
    Unauthorized("send the header 'Authorization: Bearer KEY' with a key that this server knows")
)
WRONG_KEYS: Final = TooManyWrongKeys("more than 10 wrong keys came from this address, ...")
TOO_MANY_WRONG_KEYS: Final = openapi_problem(WRONG_KEYS)
TOO_MANY_UPLOADS: Final = openapi_problem(
    TooManyUploads("64 are in progress; send the next one when one of them is answered"),
    UploadEnded("all places of uploads were taken, and this client had most of them; ..."),
    WRONG_KEYS,
)
_TOO_LARGE: Final = "the upload has more than 1 GiB, with the unpacked files of this zip; send fewer files at a time"
_LARGE_ZIP: Final = ContentTooLarge(
    f"study.zip: {_TOO_LARGE}.",
    files=[{"file": "study.zip", "code": "too_large", "reason": _TOO_LARGE}],
)
UPLOAD_TOO_LARGE: Final = openapi_problem(_LARGE_ZIP)
SERIES_TOO_LARGE: Final = openapi_problem(
    _LARGE_ZIP,
    TooCostly("decoding the 1900 slices takes as long as 121600 slices of 512 x 512 ..."),
)
CROSS_ORIGIN: Final = CrossOriginRequest("the request comes from a page of another origin")
_CROSS_ORIGIN: Final = openapi_problem(CROSS_ORIGIN)
UNKNOWN_HOST: Final = openapi_problem(UnknownHost("the header Host names 'evil.example.org', which is no host ..."))
UNSUPPORTED_UPLOADS: Final[tuple[Problem, ...]] = (
    refused_files(
        UnsupportedArchive,
        [RefusedFile("study.zip/more.tar", UnsupportedArchive.code, "a tar archive; only zip is unpacked")],
    ),
    UnsupportedEncoding("the body has Content-Encoding gzip; send it without a content encoding"),
)


def multipart_body(description: str) -> dict[str, Any]:
    """A multipart body of files, as `openapi_extra` of a route."""
    files = {"type": "array", "items": {"type": "string", "format": "binary"}, "description": description}
    schema = {"type": "object", "required": [FORM_FIELD], "properties": {FORM_FIELD: files}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def declare_browser_checks(document: dict[str, Any]) -> None:
    """Declare the answers of the checks of Host and origin in every operation of the API."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path.startswith("/v1/"):
                checks = {} if method.upper() in SAFE_METHODS else {"403": _CROSS_ORIGIN}
                operation["responses"] = {**checks, **operation["responses"], "421": UNKNOWN_HOST}

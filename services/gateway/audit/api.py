"""The route of the audit log: `/v1/audit`."""

from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request, Response

from services.common.identity.authentication import requires
from services.common.problem_schemas import openapi_problem
from services.common.problems import BadRequest, NotFound
from services.gateway.audit.reading import InvalidPosition, parse_position, read_page
from services.gateway.responses import INVALID_QUERY, TOO_MANY_WRONG_KEYS, UNAUTHORIZED, Responses

NDJSON: Final = "application/x-ndjson"


class NoAuditLog(NotFound):
    code = "no_audit_log"
    title = "This gateway keeps no audit log"

    def __init__(self) -> None:
        super().__init__("name a file in ICH_GATEWAY_AUDIT_FILE, and start the gateway again")


class UnknownPosition(BadRequest):
    code = "unknown_position"
    title = "The audit log has no such position"

    def __init__(self) -> None:
        super().__init__("`after` must come from `Link`; its file may have been deleted by rotation: begin without it")


_RESPONSES: Final[Responses] = {
    200: {
        "description": "Lines as they are in the file. `Link` with rel=next is the address of later lines, also at the "
        "end of the log.",
        "content": {NDJSON: {"schema": {"type": "string"}}},
        "headers": {"link": {"schema": {"type": "string"}}},
    },
    400: openapi_problem(UnknownPosition(), *INVALID_QUERY),
    401: UNAUTHORIZED,
    404: openapi_problem(NoAuditLog()),
    429: TOO_MANY_WRONG_KEYS,
}


def read_audit(
    request: Request,
    after: Annotated[str | None, Query(max_length=40, description="position, as in `Link`")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="most lines")] = 1000,
) -> Response:
    """Oldest first. Each gateway has a log of its own. Reading it leaves a line, too."""
    path: Path | None = request.app.state.audit_file
    if path is None:
        raise NoAuditLog
    try:
        page = read_page(path, parse_position(after) if after else None, limit)
    except InvalidPosition:
        raise UnknownPosition from None
    headers = {"link": f'</v1/audit?after={page.end}&limit={limit}>; rel="next"'} if page.end else {}
    return Response(page.lines, media_type=NDJSON, headers=headers)


def add_audit_route(app: FastAPI, path: Path | None) -> None:
    """Serve the audit log to administrators.

    path : its file; None where there is none
    """
    app.state.audit_file = path
    options: dict[str, Any] = {"dependencies": [requires("admin")], "responses": _RESPONSES}
    app.add_api_route(
        "/v1/audit",
        read_audit,
        tags=["identity"],
        operation_id="read_audit",
        summary="Lines of the audit log, for administrators",
        response_class=Response,
        **options,
    )

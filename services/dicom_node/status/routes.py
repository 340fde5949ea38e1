"""The routes of the status: its page and its JSON."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from services.common.identity.authentication import requires
from services.common.problem_schemas import DEFAULT_RESPONSE
from services.common.security_headers import PAGE_POLICY
from services.dicom_node.status.schemas import Status

_PAGES: Final = Path(__file__).parent / "pages"


class _Pages(StaticFiles):
    """The page's files, with the policy of the page."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["content-security-policy"] = PAGE_POLICY
        return response


def add_status_routes(app: FastAPI, read: Callable[[], Awaitable[Status]]) -> None:
    """Add `/v1/status`, and the page at `/`; mount it last, since it takes all other paths."""
    router = APIRouter(tags=["status"], responses=DEFAULT_RESPONSE)
    summary = "Series by step, destinations, dead letters"
    options: dict[str, Any] = {"dependencies": [requires("read")], "summary": summary, "response_model": Status}
    router.get("/v1/status", operation_id="status", **options)(read)
    app.include_router(router)
    app.mount("/", _Pages(directory=_PAGES, html=True))

"""The role of every route of gateway and DICOM node: a route that names none must be listed as open."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from tests.reference import gateway_app, node_app, roles_of

_OPEN: Final = {
    "GET /livez": None,
    "GET /readyz": None,
    "GET /metrics": None,
}
GATEWAY: Final[Mapping[str, str | None]] = {
    **_OPEN,
    "GET /docs": None,
    "GET /docs/oauth2-redirect": None,
    "GET /redoc": None,
    "GET /v1/login": None,
    "GET /v1/models": None,
    "POST /v1/predictions": "submit",
    "POST /v1/jobs": "submit",
    "PATCH /v1/jobs/{job_id}": "submit",
    "DELETE /v1/jobs/{job_id}": "submit",
    "GET /v1/jobs": "read",
    "GET /v1/jobs/{job_id}": "read",
    "GET /v1/jobs/{job_id}/events": "read",
    "GET /v1/jobs/{job_id}/reports": "read",
    "GET /v1/jobs/{job_id}/series/{number}/report": "read",
    "GET /v1/jobs/{job_id}/series/{number}/blood": "read",
    "GET /v1/jobs/{job_id}/series/{number}/slices/{index}": "read",
    "GET /v1/jobs/{job_id}/series/{number}/slices/{index}/image": "read",
    "PUT /v1/jobs/{job_id}/series/{number}/feedback": "read",
    "GET /v1/jobs/{job_id}/series/{number}/feedback": "read",
    "GET /v1/feedback": "read",
    "GET /v1/feedback/agreement": "read",
    "GET /v1/audit": "admin",
    "GET /v1/worklist": "read",
    "GET /v1/worklist/events": "read",
}
NODE: Final[Mapping[str, str | None]] = {
    **_OPEN,
    "POST /dicom-web/studies": "submit",
    "POST /dicom-web/studies/{study_instance_uid}": "submit",
    "POST /v1/pull": "submit",
    "GET /v1/pull/{id}": "read",
    "GET /v1/status": "read",
}


@pytest.fixture
def gateway(tmp_path: Path) -> FastAPI:
    return gateway_app(tmp_path)


@pytest.fixture
def node(tmp_path: Path) -> FastAPI:
    return node_app(tmp_path)


def others(app: FastAPI) -> set[str]:
    """Paths outside the API: pages and documents, without patient data."""
    routes = (
        route for route in app.routes if not isinstance(route, APIRoute) and not hasattr(route, "original_router")
    )
    return {str(getattr(route, "path", route)) for route in routes}


def test_only_pages_and_documents_lie_outside_the_api(gateway: FastAPI, node: FastAPI) -> None:
    assert others(gateway) == {"/openapi.json", "/docs-assets", ""}
    assert others(node) == {"/openapi.json", ""}


def test_every_route_of_the_gateway_names_its_role(gateway: FastAPI) -> None:
    assert roles_of(gateway) == GATEWAY


def test_every_route_of_the_node_names_its_role(node: FastAPI) -> None:
    assert roles_of(node) == NODE

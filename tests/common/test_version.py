"""The version has one source, and every service shows it."""

import tomllib

import anyio
import httpx

from services.common.app import new_app
from services.common.version import VERSION
from tests.running import ROOT


async def _ready() -> None:
    """Always."""


def test_the_project_file_reads_the_version_from_its_module() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert document["project"]["dynamic"] == ["version"]
    assert document["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "services.common.version.VERSION"}


def test_health_and_openapi_show_the_version() -> None:
    async def run() -> None:
        app = new_app(title="example", ready=_ready, drain_s=0)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            assert (await client.get("/livez")).json() == {"status": "alive", "version": VERSION}
            assert (await client.get("/openapi.json")).json()["info"]["version"] == VERSION

    anyio.run(run)

"""Log records of readiness changes."""

import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from services.common.app import new_app
from services.common.problems import NotReady

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Work:
    """A service whose readiness can be switched."""

    def __init__(self) -> None:
        self.cause: str | None = "loading"

    async def ready(self) -> None:
        if self.cause:
            raise NotReady("the model of Zebedee does not answer", cause=self.cause)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
async def client(work: Work) -> AsyncIterator[httpx.AsyncClient]:
    app = new_app(title="example", ready=work.ready, drain_s=0)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        yield client


def _logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Records of the services only: the test's own client may log its requests too."""
    ours = [item for item in caplog.records if item.name.startswith("services.") and item.levelno >= logging.INFO]
    found = [(record.levelname, record.getMessage()) for record in ours]
    caplog.clear()
    return found


async def test_each_change_of_readiness_is_logged_once(
    client: httpx.AsyncClient, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def ask() -> set[int]:
        return {(await client.get("/readyz")).status_code for _ in range(3)}

    assert await ask() == {503}
    assert _logged(caplog) == [("INFO", "not ready yet")]
    work.cause = "warming"
    await ask()
    assert _logged(caplog) == [("INFO", "not ready yet")]
    work.cause = None
    assert await ask() == {200}
    assert _logged(caplog) == [("INFO", "ready")]
    work.cause = "stage_failed"
    assert await ask() == {503}
    assert _logged(caplog) == [("WARNING", "no longer ready")]
    work.cause = None
    await ask()
    assert _logged(caplog) == [("INFO", "ready again")]


async def test_alternating_causes_are_logged_once_each(
    client: httpx.AsyncClient, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for work.cause in ("a", "b", "a", "b"):
        await client.get("/readyz")
    assert len(_logged(caplog)) == 2


async def test_an_error_in_the_probe_is_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    app = new_app(title="example", ready=broken, drain_s=0)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        assert (await client.get("/readyz")).status_code == 500
    assert "ERROR" in {level for level, _ in _logged(caplog)}

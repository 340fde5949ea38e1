"""Every route with every kind of key: which of them may read or change a job."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from redis import Redis

from services.gateway.settings import Settings
from tests.gateway.jobs.conftest import redis, redis_process  # noqa: F401 - fixtures
from tests.gateway.jobs.test_api import app_of, send
from tests.redis_process import redis_url

pytestmark = pytest.mark.anyio

KEYS: Final = {"ann": "a-key-of-anns-0001", "bob": "a-key-of-bobs-0001", "eve": "a-key-of-eves-0001"}
OPEN: Final = {"livez", "readyz", "metrics", "get_model", "get_login"}
CHANGES: Final = {"delete_job", "change_job"}
"""Operations on a job that only its sender may do; those on a job that are not GET must be here or in OPINIONS."""
OPINIONS: Final = {"give_feedback"}
REFUSALS: Final = {"unauthorized", "not_found", "not_your_job"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def app(redis: Redis, tmp_path: Path) -> AsyncIterator[FastAPI]:  # noqa: F811 - the fixture
    keys = tmp_path / "senders"
    keys.write_text("".join(f"{sender} {key} {'read_all' * (sender == 'eve')}\n" for sender, key in KEYS.items()))
    found = app_of(
        Settings(
            spool_dir=tmp_path / "spool",
            jobs_dir=tmp_path / "store",
            redis_url=redis_url(redis),
            senders_file=keys,
            max_listeners=0,  # streams of events are refused after the key and the job are checked
        )
    )
    async with found.router.lifespan_context(found):
        yield found


def routes(app: FastAPI) -> Iterator[tuple[str, str, str]]:
    """Operation id, method and path of each operation of the API."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.operation_id:
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield route.operation_id, method, route.path


def expected(operation: str, method: str, path: str) -> dict[str, str | None]:
    """The refusal of each caller; None where the request is served, or refused for another reason."""
    nobody = None if operation in OPEN else "unauthorized"
    if "{job_id}" not in path:
        return {"ann": None, "bob": None, "eve": None, "nobody": nobody}
    assert method == "GET" or operation in CHANGES | OPINIONS, f"{operation} is in neither list of this test"
    readable = "not_your_job" if operation in CHANGES else None
    return {"ann": None, "bob": "not_found", "eve": readable, "nobody": nobody}


def client_of(app: FastAPI, caller: str) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {KEYS[caller]}"} if caller in KEYS else {}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost", headers=headers, timeout=60
    )


async def refusal(app: FastAPI, caller: str, method: str, path: str) -> str | None:
    async with client_of(app, caller) as client:
        answer = await client.request(method, path)
    is_problem = "problem" in answer.headers.get("content-type", "")
    code = str(answer.json()["code"]) if is_problem else None
    return code if code in REFUSALS else None


async def test_every_route_is_refused_to_those_who_may_not_use_it(app: FastAPI) -> None:
    found = sorted(routes(app), key=lambda route: route[1] == "DELETE")  # the job of `ann` is cancelled last
    assert {"get_job", "get_reports", "list_worklist", "delete_job"} <= {operation for operation, _, _ in found}
    async with client_of(app, "ann") as ann:
        job = (await send(ann)).json()["id"]
    for operation, method, path in found:
        address = path.format(job_id=job, number=0, index=0)
        for caller in ("bob", "eve", "nobody", "ann"):
            wanted = expected(operation, method, path)[caller]
            assert (await refusal(app, caller, method, address)) == wanted, f"{operation} by {caller}"


async def test_a_job_that_is_nowhere_is_not_found_by_a_reader_of_all(app: FastAPI) -> None:
    for job in ("0" * 28, "..", "a/b"):
        assert await refusal(app, "eve", "GET", f"/v1/jobs/{job}") == "not_found"

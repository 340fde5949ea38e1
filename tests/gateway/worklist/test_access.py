"""Every route with every kind of key: which of them may read or change a job."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from redis import Redis

from services.common.identity.authentication import api_routes, required_role
from services.common.identity.key_lines import StoredKey, hash_key
from services.common.identity.principal import Principal, Role
from services.gateway.settings import Settings
from tests.gateway.jobs.conftest import redis, redis_process  # noqa: F401 - fixtures
from tests.gateway.jobs.test_api import app_of, send
from tests.redis_process import redis_url

pytestmark = pytest.mark.anyio

ROLES: Final[dict[str, frozenset[Role]]] = {
    "ann": frozenset({"submit", "read"}),  # the sender of the job
    "bob": frozenset({"submit", "read"}),
    "eve": frozenset({"submit", "read_all"}),
    "sue": frozenset({"submit"}),
    "rob": frozenset({"read"}),
    "root": frozenset({"admin"}),
}
KEYS: Final = {name: f"a-key-of-{name:_>10}" for name in ROLES}
CALLERS: Final = ("nobody", "sue", "rob", "bob", "eve", "root", "ann")
CHANGES: Final = {"delete_job", "change_job"}
"""Operations on a job that only its sender may do; those on a job that are not GET must be here or in OPINIONS."""
OPINIONS: Final = {"give_feedback"}
REFUSALS: Final = {"unauthorized", "missing_role", "not_found", "not_your_job", "no_audit_log"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def app(redis: Redis, tmp_path: Path) -> AsyncIterator[FastAPI]:  # noqa: F811 - the fixture
    keys = tmp_path / "senders"
    lines = (StoredKey(hash_key(key), name, ROLES[name]).line() for name, key in KEYS.items())
    keys.write_text("\n".join(lines))
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


def routes(app: FastAPI) -> Iterator[tuple[APIRoute, str]]:
    """Each operation of the API, by its route and method."""
    for route in api_routes(app.routes):
        if route.operation_id:
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield route, method


def expected(route: APIRoute, method: str, caller: str) -> str | None:
    """The refusal of a caller; None where the request is served, or refused for another reason."""
    role = required_role(route)
    if role is None:
        return None
    if caller == "nobody":
        return "unauthorized"
    principal = Principal(caller, ROLES[caller])
    if not principal.has(role):
        return "missing_role"
    if route.operation_id == "read_audit":
        return "no_audit_log"
    return _refused_job(principal, str(route.operation_id), method) if "{job_id}" in route.path else None


def _refused_job(principal: Principal, operation: str, method: str) -> str | None:
    """The refusal of a principal with the role of an operation on the job of `ann`."""
    assert method == "GET" or operation in CHANGES | OPINIONS, f"{operation} is in neither list of this test"
    if principal.id == "ann" or principal.is_admin:
        return None
    if principal.reads_all:
        return "not_your_job" if operation in CHANGES else None
    return "not_found"


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
    found = sorted(routes(app), key=lambda operation: operation[1] == "DELETE")  # a job is cancelled last
    names = {str(route.operation_id) for route, _ in found}
    assert {"get_job", "get_reports", "list_worklist", "delete_job", "read_audit"} <= names
    async with client_of(app, "ann") as ann:
        jobs = [(await send(ann)).json()["id"] for _ in range(2)]
    for route, method in found:
        for caller in CALLERS:
            job = jobs[caller == "ann"]  # the administrator deletes one, and the sender the other
            refused = await refusal(app, caller, method, route.path.format(job_id=job, number=0, index=0))
            assert refused == expected(route, method, caller), f"{route.operation_id} by {caller}"


async def test_a_job_that_is_nowhere_is_not_found_by_a_reader_of_all(app: FastAPI) -> None:
    for job in ("0" * 28, "..", "a/b"):
        assert await refusal(app, "eve", "GET", f"/v1/jobs/{job}") == "not_found"

"""Every way in, beside each other: keys, tokens, and the headers of a trusted proxy."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI

from services.common.clients import SENDER_ID
from services.common.connections.client_address import ClientAddressMiddleware, Proxies
from services.common.error_handlers import add_error_handlers
from services.common.identity.api_keys import ApiKeys
from services.common.identity.authentication import (
    Identity,
    StillValid,
    add_identity,
    authenticate,
    required_role,
    requires,
    still_valid,
)
from services.common.identity.principal import ROLES, Principal, Role
from services.common.identity.proxy_headers import ProxyHeaders
from services.common.problems import NotReady
from tests.common.identity.oidc.issuer import Issuer, claims, token, verifier

pytestmark = pytest.mark.anyio
KEY = "a-key-of-anns-0001"
PROXY, ELSEWHERE = "10.0.0.7", "192.0.2.1"
PROXIES = Proxies([PROXY])


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    path = tmp_path / "senders"
    path.write_text(f"ann {KEY}\n")
    headers = ProxyHeaders(PROXIES, "X-Forwarded-User", "X-Forwarded-Groups")
    return Identity(ApiKeys.read(path), verifier(Issuer()), headers)


def app_of(identity: Identity) -> FastAPI:
    app = FastAPI()
    app.add_middleware(ClientAddressMiddleware, PROXIES)
    add_error_handlers(app)
    add_identity(app, identity)
    for role in ROLES:

        @app.get(f"/{role}", dependencies=[requires(role)])
        def route(principal: Annotated[Principal, Depends(authenticate)]) -> dict[str, Any]:
            return {"id": principal.id, "way": principal.way, "roles": sorted(principal.roles)}

    return app


@asynccontextmanager
async def client_at(identity: Identity, peer: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app_of(identity), client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def answer(
    identity: Identity, headers: Mapping[str, str] | list[tuple[str, str]], peer: str = ELSEWHERE, role: Role = "read"
) -> Any:
    async with client_at(identity, peer) as client:
        return (await client.get(f"/{role}", headers=headers)).json()


async def test_each_way_gives_a_principal(identity: Identity) -> None:
    by_key = await answer(identity, {"authorization": f"Bearer {KEY}"})
    assert by_key == {"id": "ann", "way": "key", "roles": ["read", "submit"]}
    by_token = await answer(identity, {"authorization": f"Bearer {token()}"})
    assert by_token["way"] == "token"
    user = {"x-forwarded-user": "ann", "x-forwarded-groups": "staff, read_all"}
    by_proxy = await answer(identity, user, PROXY)
    assert (by_proxy["way"], by_proxy["roles"]) == ("proxy", ["read_all"])
    ids = {by_key["id"], by_token["id"], by_proxy["id"]}
    assert len(ids) == 3
    assert all(re.fullmatch(SENDER_ID, found) for found in ids)


async def test_a_missing_role_is_named(identity: Identity) -> None:
    problem = await answer(identity, {"authorization": f"Bearer {KEY}"}, role="admin")
    assert (problem["status"], problem["code"], problem["role"]) == (403, "missing_role", "admin")
    assert "read, submit" in problem["detail"]
    none = await answer(identity, {"authorization": f"Bearer {token(claims(roles=None))}"})
    assert (none["code"], none["role"]) == ("missing_role", "read")


@pytest.mark.parametrize(
    ("given", "served"),
    [
        ("submit", {"submit"}),
        ("read", {"read"}),
        ("read_all", {"read", "read_all"}),
        ("admin", {"submit", "read", "read_all", "admin"}),
    ],
)
async def test_roles_include_others(identity: Identity, given: str, served: set[str]) -> None:
    headers = {"authorization": f"Bearer {token(claims(roles=[given]))}"}
    assert {role for role in ROLES if "id" in await answer(identity, headers, role=role)} == served


@pytest.mark.parametrize("header", ["x-forwarded-user", "X-FORWARDED-GROUPS"])
async def test_headers_of_the_proxy_are_refused_from_elsewhere(identity: Identity, header: str) -> None:
    credential = {"authorization": f"Bearer {KEY}"}
    forged = await answer(identity, {**credential, header: "admin"})
    assert (forged["status"], forged["code"]) == (400, "untrusted_identity_header")
    through = {**credential, header: "admin", "x-forwarded-for": PROXY}
    assert (await answer(identity, through))["code"] == "untrusted_identity_header"


async def test_the_client_of_a_proxy_is_believed_by_the_address_of_the_proxy(identity: Identity) -> None:
    user = {"x-forwarded-user": "ann", "x-forwarded-groups": "read", "x-forwarded-for": ELSEWHERE}
    assert (await answer(identity, user, PROXY))["way"] == "proxy"


async def test_a_proxy_may_name_nobody_and_pass_a_key_on(identity: Identity) -> None:
    credential = {"authorization": f"Bearer {KEY}"}
    assert (await answer(identity, credential, PROXY))["way"] == "key"
    assert (await answer(identity, {**credential, "x-forwarded-user": ""}, PROXY))["way"] == "key"
    assert (await answer(identity, {"x-forwarded-user": "  "}, PROXY))["code"] == "unauthorized"


@pytest.mark.parametrize(
    "headers",
    [
        [("x-forwarded-user", "ann"), ("x-forwarded-user", "eve")],
        [("x-forwarded-user", "ann"), ("x-forwarded-groups", "read"), ("x-forwarded-groups", "admin")],
        [("x-forwarded-user", "a" * 300)],
    ],
)
async def test_repeated_and_long_headers_of_a_proxy_are_refused(
    identity: Identity, headers: list[tuple[str, str]]
) -> None:
    assert (await answer(identity, headers, PROXY))["code"] == "malformed_request"


async def test_a_group_with_a_role_among_its_words_is_no_role(identity: Identity) -> None:
    groups = {"x-forwarded-user": "ann", "x-forwarded-groups": "domain admin, read ,submit reports"}
    assert (await answer(identity, groups, PROXY))["roles"] == ["read"]


async def test_without_a_header_of_roles_a_user_of_the_proxy_submits_and_reads() -> None:
    identity = Identity(ApiKeys.read(None), None, ProxyHeaders(PROXIES, "X-Forwarded-User", None))
    found = await answer(identity, {"x-forwarded-user": "ann", "x-forwarded-groups": "admin"}, PROXY)
    assert found["roles"] == ["read", "submit"]
    assert (await answer(identity, {}))["code"] == "unauthorized"


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer ", f"Bearer {KEY}", "Basic YTpi", "Bearer a.b.c"])
async def test_where_only_tokens_are_accepted_nothing_else_is(header: str | None) -> None:
    identity = Identity(ApiKeys.read(None), verifier(Issuer()))
    assert (await answer(identity, {} if header is None else {"authorization": header}))["code"] == "unauthorized"


async def test_a_server_whose_only_way_is_a_token_is_not_ready_without_keys() -> None:
    issuer = Issuer()
    identity = Identity(ApiKeys.read(None), verifier(issuer))
    with pytest.raises(NotReady) as problem:
        identity.check_ready()
    assert problem.value.extra["cause"] == "identity_provider_unavailable"
    assert identity.tokens
    await identity.tokens.keys.refresh()
    identity.check_ready()


async def test_a_server_with_keys_is_ready_without_a_provider(identity: Identity) -> None:
    identity.check_ready()


@pytest.mark.parametrize("lines", ["", f"ann {KEY} read_all", f"bob {KEY}"])
async def test_a_response_that_lasts_learns_of_a_changed_key(identity: Identity, tmp_path: Path, lines: str) -> None:
    app = app_of(identity)

    @app.get("/lasting")
    async def route(valid: Annotated[StillValid, Depends(still_valid)]) -> list[bool]:
        before = await valid()
        (tmp_path / "part").write_text(lines)
        (tmp_path / "part").replace(tmp_path / "senders")
        return [before, await valid()]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        answered = await client.get("/lasting", headers={"authorization": f"Bearer {KEY}"})
    assert answered.json() == [True, False]


def test_a_route_names_one_role() -> None:
    app = FastAPI()
    app.get("/two", dependencies=[requires("read"), requires("admin")])(lambda: None)
    (route,) = (route for route in app.routes if getattr(route, "path", "") == "/two")
    with pytest.raises(ValueError, match="/two"):
        required_role(route)  # type: ignore[arg-type]

"""A gateway with keys, tokens and a proxy: who is served, and what logs, audit lines and metrics say of it."""

import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI
from redis import Redis

from services.common.observability import JsonFormatter
from services.gateway.app import create_app
from services.gateway.settings import Settings
from services.gateway.stages.stage_client import Stages, connect
from tests.common.identity.oidc.issuer import claims, token
from tests.common.identity.oidc.provider_server import ProviderServer, serving
from tests.gateway.jobs.conftest import redis, redis_process  # noqa: F401 - fixtures
from tests.redis_process import redis_url

pytestmark = pytest.mark.anyio
ANNS, ROOTS = "a-key-of-anns-0001", "a-key-of-roots-0001"
PROXY, ELSEWHERE = "10.0.0.7", "192.0.2.1"
NAME: Final = "ann.example"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with serving() as found:
        yield found


@pytest.fixture
async def gateway(redis: Redis, provider: ProviderServer, tmp_path: Path) -> AsyncIterator[FastAPI]:  # noqa: F811
    keys = tmp_path / "senders"
    keys.write_text(f"ann {ANNS}\nroot {ROOTS} admin\n")
    settings = Settings(
        spool_dir=tmp_path / "spool",
        jobs_dir=tmp_path / "jobs",
        audit_file=tmp_path / "audit" / "audit.jsonl",
        redis_url=redis_url(redis),
        senders_file=keys,
        oidc_issuer=provider.url,
        oidc_audience="ich",
        proxies=(PROXY,),
        identity_header="X-Forwarded-User",
        roles_header="X-Forwarded-Groups",
    )
    stages = {name: connect(name, "http://127.0.0.1:9", 0.2, 0.2) for name in ("preprocess", "cnn", "rnn")}
    app = create_app(Stages(**stages), settings)
    async with app.router.lifespan_context(app):
        yield app


async def get(app: FastAPI, path: str, headers: Mapping[str, str], peer: str = ELSEWHERE) -> httpx.Response:
    transport = httpx.ASGITransport(app, client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get(path, headers=headers)


def bearer(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}


def good(provider: ProviderServer, **changes: Any) -> str:
    return token(claims(**{"iss": provider.url, "sub": NAME, **changes}))


async def test_audit_lines_name_the_way_and_an_administrator_reads_them(
    gateway: FastAPI, provider: ProviderServer
) -> None:
    proxy = {"x-forwarded-user": NAME, "x-forwarded-groups": "read"}
    for headers, peer, status in (
        (bearer(ANNS), ELSEWHERE, 200),
        (bearer(good(provider)), ELSEWHERE, 200),
        (proxy, PROXY, 200),
        (bearer(good(provider, exp=1)), ELSEWHERE, 401),
        (bearer(good(provider, roles=["submit"])), ELSEWHERE, 403),
        (proxy, ELSEWHERE, 400),
        ({}, ELSEWHERE, 401),
    ):
        assert (await get(gateway, "/v1/jobs", headers, peer)).status_code == status
    assert (await get(gateway, "/v1/audit", bearer(ANNS))).json()["code"] == "missing_role"
    page = await get(gateway, "/v1/audit", bearer(ROOTS))
    lines = [json.loads(line) for line in page.text.splitlines() if '"operation"' in line]
    assert [(line["way"], line["code"]) for line in lines] == [
        ("key", None),
        ("token", None),
        ("proxy", None),
        (None, "unauthorized"),
        ("token", "missing_role"),
        (None, "untrusted_identity_header"),
        (None, "unauthorized"),
        ("key", "missing_role"),
    ]
    senders = [line["sender"] for line in lines]
    assert (senders[0], senders[1]) == ("ann", senders[4])
    assert senders[1].startswith("oidc-")
    assert senders[2].startswith("proxy-")
    address = page.headers["link"].partition("<")[2].partition(">")[0]
    (own,) = (await get(gateway, address, bearer(ROOTS))).text.splitlines()
    assert json.loads(own)["action"] == "read_audit"


async def test_no_name_key_or_token_is_in_logs_audit_lines_metrics_and_answers(
    gateway: FastAPI, provider: ProviderServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "ich_ann_wrong-key-0123456789"
    secrets = [good(provider), good(provider, exp=1), good(provider, aud="other"), good(provider)[:-9] + "AAAAAAAAA"]
    answers = []
    for secret in (*secrets, wrong, f"{wrong}\u00e9", ANNS):
        raw = secret.encode("latin-1")
        for value in (b"Bearer " + raw, b"bearer  " + raw + b" x", raw, b"Token " + raw):
            answers += [await get(gateway, "/v1/jobs", httpx.Headers({b"authorization": value}))]
        for path in ("/v1/jobs", "/v1/predictions", "/v1/nothing", "/"):
            answers.append(await get(gateway, path, {}, PROXY))
            query = {"access_token": secret, "key": secret}
            transport = httpx.ASGITransport(gateway)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                answers.append(await client.get(path, params=query))
    answers.append(await get(gateway, "/v1/jobs", {"x-forwarded-user": NAME, "x-forwarded-groups": "read"}, PROXY))
    answers.append(await get(gateway, "/v1/jobs", {"x-forwarded-user": NAME}))
    metrics = await get(gateway, "/metrics", {})
    audit = await get(gateway, "/v1/audit", bearer(ROOTS))
    formatter = JsonFormatter("gateway")
    written = [formatter.format(record) for record in caplog.records if record.name.startswith("services.")]
    assert written
    texts = [*written, metrics.text, audit.text, *(answer.text for answer in answers if answer.status_code >= 400)]
    for secret in (*secrets, wrong, ANNS, NAME):
        pieces = {secret, *(piece for piece in secret.split(".") if len(piece) > 20)}
        found = [text for text in texts if any(piece in text for piece in pieces)]
        assert not found, "a secret or a name is shown"


async def test_metrics_say_how_the_provider_does(gateway: FastAPI, provider: ProviderServer) -> None:
    assert (await get(gateway, "/v1/jobs", bearer(good(provider)))).status_code == 200
    await get(gateway, "/v1/jobs", bearer(good(provider, exp=1)))
    text = (await get(gateway, "/metrics", {})).text
    assert "ich_oidc_keys_usable 1.0" in text
    assert 'ich_oidc_fetches_total{result="ok"} 1.0' in text
    assert 'ich_tokens_refused_total{cause="expired"} 1.0' in text
    assert "ich_oidc_keys_age_seconds " in text
    assert "ich_key_file_errors_total 0.0" in text


async def test_keys_and_seen_tokens_serve_while_the_provider_is_down(
    gateway: FastAPI, provider: ProviderServer
) -> None:
    assert (await get(gateway, "/v1/jobs", bearer(good(provider)))).status_code == 200
    provider.answers = {}
    assert (await get(gateway, "/v1/jobs", bearer(good(provider, sub="another")))).status_code == 200
    assert (await get(gateway, "/v1/jobs", bearer(ANNS))).status_code == 200

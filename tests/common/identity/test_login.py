"""What the route tells a page before it has a credential, by the settings."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from services.common.identity.login import add_login_route
from services.common.identity.settings import IdentitySettings

pytestmark = pytest.mark.anyio
TOKENS: dict[str, Any] = {"oidc_issuer": "https://login.example.org/realms/ct", "oidc_audience": "ich"}


class _Settings(IdentitySettings):
    model_config = SettingsConfigDict(env_prefix="ICH_TEST_")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def _login(**values: Any) -> Any:
    app = FastAPI()
    add_login_route(app, _Settings(**values), {})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        return (await client.get("/v1/login")).json()


async def test_the_options_follow_from_the_settings() -> None:
    assert await _login() == {"required": False, "key": False, "oidc": None}
    assert await _login(senders_file=Path("keys")) == {"required": True, "key": True, "oidc": None}
    assert await _login(**TOKENS) == {"required": True, "key": False, "oidc": None}
    assert await _login(**TOKENS, oidc_client_id="page", oidc_scopes="openid roles") == {
        "required": True,
        "key": False,
        "oidc": {"issuer": TOKENS["oidc_issuer"], "client_id": "page", "scopes": "openid roles"},
    }
    assert (await _login(identity_header="X-User", proxies=("10.0.0.1",)))["required"]


@pytest.mark.parametrize(
    "values",
    [
        {**TOKENS, "oidc_issuer": "http://login.example.org"},
        {**TOKENS, "oidc_issuer": "https://login.example.org?x=1"},
        {**TOKENS, "oidc_issuer": "https://user:word@login.example.org"},
        {**TOKENS, "oidc_issuer": "https://*"},
        {**TOKENS, "oidc_issuer": "https://login.example.org;script-src *"},
        {**TOKENS, "oidc_issuer": "https://login.example.org 'unsafe-inline'"},
        {**TOKENS, "oidc_issuer": "https://login.example.org\n"},
        {"oidc_issuer": TOKENS["oidc_issuer"]},
        {"oidc_client_id": "page"},
        {**TOKENS, "oidc_algorithms": ("HS256",)},
        {**TOKENS, "oidc_algorithms": ("none",)},
        {**TOKENS, "oidc_algorithms": ()},
        {"identity_header": "X-User"},
        {"identity_header": "Authorization", "proxies": ("10.0.0.1",)},
        {"roles_header": "X-Roles", "proxies": ("10.0.0.1",)},
        {"identity_header": "X-User", "roles_header": "x-user", "proxies": ("10.0.0.1",)},
    ],
)
def test_incomplete_and_unsafe_settings_stop_the_start(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _Settings(**values)


def test_a_provider_on_a_loopback_address_needs_no_https() -> None:
    assert _Settings(**(TOKENS | {"oidc_issuer": "http://127.0.0.1:9140"})).asks_for_identity

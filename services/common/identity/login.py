"""`GET /v1/login`: how a page logs in, before it has a credential."""

from collections.abc import Mapping
from typing import Any, Self

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from services.common.identity.settings import IdentitySettings


class OidcLogin(BaseModel):
    """The provider of the login by authorization code with PKCE (RFC 7636)."""

    model_config = ConfigDict(frozen=True)

    issuer: str = Field(description="URL of the provider; its discovery document has the endpoints")
    client_id: str
    scopes: str = Field(description="separated by spaces")


class LoginOptions(BaseModel):
    """The credentials that the server takes."""

    model_config = ConfigDict(frozen=True)

    required: bool = Field(description="whether requests need a credential")
    key: bool = Field(description="whether API keys are accepted")
    oidc: OidcLogin | None = Field(description="the login at a provider; null without one")

    @classmethod
    def of(cls, settings: IdentitySettings) -> Self:
        """The options of a site's settings."""
        oidc = None
        if settings.oidc_issuer and settings.oidc_client_id:
            oidc = OidcLogin(
                issuer=settings.oidc_issuer, client_id=settings.oidc_client_id, scopes=settings.oidc_scopes
            )
        return cls(required=settings.asks_for_identity, key=settings.senders_file is not None, oidc=oidc)


def add_login_route(app: FastAPI, settings: IdentitySettings, responses: Mapping[int | str, dict[str, Any]]) -> None:
    """Serve the options, to everyone."""
    options = LoginOptions.of(settings)

    async def get_login() -> LoginOptions:
        """A page reads this before it asks for a credential."""
        return options

    app.add_api_route(
        "/v1/login",
        get_login,
        tags=["identity"],
        operation_id="get_login",
        summary="How to log in: API keys, or an OpenID provider",
        responses={**responses},
    )

"""Settings of API keys, access tokens and identities from a proxy, which gateway and DICOM node share."""

import re
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from services.common.connections.settings import ConnectionSettings
from services.common.loopback import is_loopback

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
"""Signatures with a public key (RFC 7518, RFC 8037, RFC 9864): a shared secret or none is never accepted."""
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_SERVER: Final = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?", re.ASCII)  # it stands in the page's policy
_RESERVED_HEADERS: Final = frozenset(
    ("authorization", "content-length", "content-type", "cookie", "host", "x-forwarded-for", "x-forwarded-proto")
)


class IdentitySettings(ConnectionSettings):
    """The file of keys, the OpenID provider, and the headers of a trusted proxy."""

    senders_file: Path | None = Field(
        default=None,
        description="File of API keys, one a line (docs/reference/identity.md). Without it, `oidc_issuer` or "
        "`identity_header`, requests need no credential.",
    )
    oidc_issuer: str | None = Field(
        default=None,
        description="Issuer URL of the OpenID provider whose access tokens are accepted, as in its discovery document; "
        "https, except on a loopback address. Unset, there are no tokens.",
    )
    oidc_audience: str | None = Field(
        default=None, description="Audience (`aud`) that access tokens must name; required with `oidc_issuer`."
    )
    oidc_client_id: str | None = Field(
        default=None,
        description="Client id of the page at the provider, a public client with PKCE; unset, the page offers no "
        "login.",
    )
    oidc_scopes: str = Field(
        default="openid", description="Scopes that the page asks for at login, separated by spaces."
    )
    oidc_roles_claim: str = Field(
        default="roles",
        description="Claim with the roles of a token: a list, or a text with spaces. A dotted path reaches into "
        "objects, such as `realm_access.roles` of Keycloak.",
    )
    oidc_algorithms: tuple[str, ...] = Field(
        default=("RS256", "ES256"),
        min_length=1,
        description=f"JSON list of the signature algorithms that tokens may have, of {', '.join(ALGORITHMS)}.",
    )
    oidc_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that sign the provider's certificate, in place of the usual ones; "
        "unset, those of `SSL_CERT_FILE` or of the image.",
    )
    oidc_keys_keep_s: float = Field(
        default=24 * 3600.0,
        gt=0,
        description="Seconds that the provider's signing keys are used after it last answered; then tokens are "
        "answered with 503.",
    )
    identity_header: str | None = Field(
        default=None,
        description="Header with the user's name from a proxy that authenticates users, such as `X-Forwarded-User`. "
        "Believed from `proxies` only, which must be set; a request from elsewhere with it is answered with 400.",
    )
    roles_header: str | None = Field(
        default=None,
        description="Header with that user's roles, separated by commas; unset, the user has `submit` and `read`.",
    )

    roles_prefix: str = Field(
        default="",
        max_length=64,
        description="Text before each role in the claim and in the header, such as `ich-` for a group `ich-read_all`: "
        "it keeps groups of the same name and another meaning out.",
    )

    @property
    def asks_for_identity(self) -> bool:
        """Whether requests need a credential."""
        return any((self.senders_file, self.oidc_issuer, self.identity_header))

    @field_validator("oidc_issuer")
    @classmethod
    def _is_https(cls, issuer: str | None) -> str | None:
        if issuer is None:
            return None
        url = urlsplit(issuer)
        local = url.scheme == "http" and is_loopback(url.hostname or "")
        named = _SERVER.fullmatch(url.netloc) and issuer.isprintable()
        if not (url.scheme == "https" or local) or not named or url.query or url.fragment:
            raise ValueError(f"{issuer!r} must be an https URL without query and fragment (OpenID Connect Discovery 2)")
        return issuer

    @field_validator("oidc_algorithms")
    @classmethod
    def _are_signatures(cls, algorithms: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(algorithms) - set(ALGORITHMS):
            raise ValueError(f"{', '.join(sorted(unknown))}: choose from {', '.join(ALGORITHMS)}")
        return algorithms

    @field_validator("identity_header", "roles_header")
    @classmethod
    def _is_header(cls, name: str | None) -> str | None:
        if name is not None and (not _HEADER.fullmatch(name) or name.lower() in _RESERVED_HEADERS):
            raise ValueError(f"{name!r} must be the name of a header that has no other meaning here")
        return name

    @model_validator(mode="after")
    def _identity_is_complete(self) -> Self:
        if self.oidc_issuer and not self.oidc_audience:
            raise ValueError("oidc_issuer is set: set oidc_audience, which tokens must name, too")
        if (self.oidc_audience or self.oidc_client_id) and not self.oidc_issuer:
            raise ValueError("oidc_audience and oidc_client_id need oidc_issuer: set it, too")
        if self.identity_header and not self.proxies:
            raise ValueError("identity_header is set: name the proxies that may send it in proxies")
        if self.roles_header and not self.identity_header:
            raise ValueError("roles_header needs identity_header: set it, too")
        if self.roles_header and self.roles_header.lower() == (self.identity_header or "").lower():
            raise ValueError("identity_header and roles_header are one header: a user named admin would have that role")
        return self

"""Fetches the signing keys of an OpenID provider (OpenID Connect Discovery 1.0, section 4; RFC 7517)."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import httpx

from services.common.loopback import is_loopback

_TIMEOUT_S: Final = 5.0  # of a connection, and between two bytes
_DEADLINE_S: Final = 15.0
_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity"}
_MAX_BYTES: Final = 1024**2
_DISCOVERY: Final = "/.well-known/openid-configuration"


class ProviderFailed(Exception):
    """The message names the fault and the remedy, and nothing of a response's body."""


class KeySource(Protocol):
    """Where signing keys come from."""

    async def fetch_keys(self) -> list[dict[str, Any]]:
        """All JWKs; ProviderFailed where the source does not answer as it should."""


class Provider:
    """A provider, reached by HTTPS; `HTTPS_PROXY` and `SSL_CERT_FILE` of the environment apply.

    Parameters
    ----------
    issuer : its URL, as in its discovery document
    ca_file : PEM file of the authorities of its certificate; the usual ones without it
    deadline_s : seconds for both documents
    """

    def __init__(self, issuer: str, ca_file: Path | None = None, deadline_s: float = _DEADLINE_S) -> None:
        self._issuer, self._deadline_s = issuer, deadline_s
        self._context = ssl.create_default_context(cafile=ca_file) if ca_file else httpx.create_ssl_context()

    async def fetch_keys(self) -> list[dict[str, Any]]:
        """All JWKs that the provider publishes now.

        Raises
        ------
        ProviderFailed
            it does not answer, or answers with something else
        """
        try:
            async with (
                asyncio.timeout(self._deadline_s),
                httpx.AsyncClient(verify=self._context, timeout=_TIMEOUT_S) as client,
            ):
                document = await _json(client, self._issuer.rstrip("/") + _DISCOVERY)
                keys = (await _json(client, self._jwks_uri(document))).get("keys")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, RecursionError) as error:
            raise ProviderFailed(
                f"no signing keys from the OpenID provider ({type(error).__name__}): check ICH_*_OIDC_ISSUER, the "
                "network, and the authority of its certificate"
            ) from error
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise ProviderFailed("the OpenID provider's jwks_uri has no JWK Set (RFC 7517)")
        return keys

    def _jwks_uri(self, document: dict[str, Any]) -> str:
        if document.get("issuer") != self._issuer:
            raise ProviderFailed(
                "the issuer in the discovery document differs from ICH_*_OIDC_ISSUER: copy it from there, with or "
                "without the slash at its end"
            )
        uri = document.get("jwks_uri")
        url = urlsplit(uri if isinstance(uri, str) else "")
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
            raise ProviderFailed("the jwks_uri in the discovery document must be an https URL")
        return url.geturl()


async def _json(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """A JSON object of bounded size; ValueError for anything else."""
    body = bytearray()
    async with client.stream("GET", url, headers=_HEADERS) as response:
        if response.status_code != httpx.codes.OK:
            raise ProviderFailed(f"the OpenID provider answers {response.status_code}: check ICH_*_OIDC_ISSUER")
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > _MAX_BYTES:
                raise ProviderFailed(f"a document of the OpenID provider exceeds {_MAX_BYTES} bytes")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ProviderFailed("a document of the OpenID provider is no JSON object")
    return found

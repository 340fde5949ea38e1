"""An OpenID provider in this process: signing keys that rotate, and tokens of every kind."""

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from services.common.identity.oidc.claims import Expected
from services.common.identity.oidc.provider import ProviderFailed
from services.common.identity.oidc.signing_keys import SigningKeys
from services.common.identity.oidc.verifier import TokenVerifier

ISSUER: Final = "https://login.example.org/realms/ct"
AUDIENCE: Final = "ich"
RSA: Final = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
OTHER_RSA: Final = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
EC: Final = ECKey.generate_key("P-256", {"kid": "two"}, private=True)


class Issuer:
    """A KeySource; `down` lets it fail.

    Attributes
    ----------
    asked : number of fetches
    """

    def __init__(self, *documents: dict[str, Any]) -> None:
        self.documents = list(documents) or [public(RSA), public(EC)]
        self.asked, self.down = 0, False

    async def fetch_keys(self) -> list[dict[str, Any]]:
        self.asked += 1
        if self.down:
            raise ProviderFailed("the provider is down")
        return self.documents


def public(key: RSAKey | ECKey, **members: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), "use": "sig", **members}


def claims(**changes: Any) -> dict[str, Any]:
    """Claims of a good token; a change of None leaves a claim out."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 300, "roles": ["submit", "read"]}
    return {name: value for name, value in (good | changes).items() if value is not None}


def token(
    content: Mapping[str, Any] | bytes | None = None,
    key: Any = RSA,
    algorithm: str = "RS256",
    **header: Any,
) -> str:
    """A signed token; a header member of None is left out."""
    protected = {"alg": algorithm, "typ": "at+jwt", "kid": "one", **header}
    protected = {name: value for name, value in protected.items() if value is not None}
    payload = content if isinstance(content, bytes) else _json(claims() if content is None else content)
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    return jws.serialize_compact(protected, payload, key, registry=registry)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def verifier(issuer: Issuer, clock: Any = time.time, keys: SigningKeys | None = None) -> TokenVerifier:
    expected = Expected(ISSUER, AUDIENCE, "roles")
    return TokenVerifier(keys or SigningKeys(issuer, 3600, 0), expected, ("RS256", "ES256"), clock)

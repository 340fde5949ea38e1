"""Verifies access tokens: JWS in compact serialization (RFC 7515), with a signing key of the provider."""

import hashlib
import json
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from services.common.identity.oidc.claims import LEEWAY_S, Expected, principal_of
from services.common.identity.oidc.json_web_keys import KeyType, SigningKey
from services.common.identity.oidc.signing_keys import SigningKeys
from services.common.identity.principal import Principal
from services.common.identity.problems import InvalidToken

MAX_TOKEN_BYTES: Final = 16 * 1024
_MAX_KEY_ID: Final = 256
_MAX_SEEN: Final = 10_000
_TYPES: Final = frozenset(("jwt", "at+jwt", "application/at+jwt"))  # RFC 7519, section 5.1; RFC 9068, section 2.1
_UNKNOWN_EXTENSIONS: Final = ("crit", "b64")  # RFC 7515, section 4.1.11; RFC 7797
_KEY_TYPES: Final[Mapping[str, KeyType]] = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class _Registry(JWSRegistry):
    max_header_length = 8 * 1024  # with a chain of certificates, which is ignored
    max_payload_length = MAX_TOKEN_BYTES


@dataclass(frozen=True, slots=True)
class _Seen:
    principal: Principal
    key: SigningKey


class TokenVerifier:
    """Finds the principal of each token. A verified token is remembered by its hash while it and its key are valid.

    Parameters
    ----------
    clock : Unix time, in seconds
    """

    def __init__(
        self,
        keys: SigningKeys,
        expected: Expected,
        algorithms: Sequence[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.keys = keys
        self.refused: Counter[str] = Counter()
        self._expected, self._algorithms, self._clock = expected, frozenset(algorithms), clock
        self._registry = _Registry(algorithms=tuple(algorithms), strict_check_header=False)
        self._seen: OrderedDict[bytes, _Seen] = OrderedDict()

    async def principal(self, token: str) -> Principal:
        """The principal of a token.

        Raises
        ------
        InvalidToken
            the token is forged, stale, of another issuer or audience, or malformed
        ProviderUnavailable
            the provider's keys cannot be fetched
        """
        try:
            return await self._principal(token)
        except InvalidToken as error:
            self.refused[error.cause] += 1
            raise

    async def _principal(self, token: str) -> Principal:
        if len(token) > MAX_TOKEN_BYTES:
            raise InvalidToken("malformed", f"the token is longer than {MAX_TOKEN_BYTES} bytes")
        hashed = hashlib.sha256(token.encode()).digest()
        if seen := self._remembered(hashed):
            return seen
        algorithm, key_id = self._checked_header(token)
        key = await self.keys.find(key_id, _KEY_TYPES[algorithm[:2]])
        if key is None:
            raise InvalidToken("unknown_key", "the provider has no key of the token's 'kid': log in again")
        principal = principal_of(self._verified(token, algorithm, key), self._expected, self._clock())
        self._seen[hashed] = _Seen(principal, key)
        if len(self._seen) > _MAX_SEEN:
            self._seen.popitem(last=False)
        return principal

    def _remembered(self, hashed: bytes) -> Principal | None:
        """The principal of a token that was verified before; None where it must be verified again."""
        seen = self._seen.get(hashed)
        if seen is None:
            return None
        if self.keys.usable and self.keys.is_current(seen.key) and self._clock() < seen.principal.expires_at + LEEWAY_S:
            return seen.principal
        del self._seen[hashed]
        return None

    def _checked_header(self, token: str) -> tuple[str, str]:
        """The algorithm and the key id of a token. Keys inside a token (`jwk`, `jku`, `x5u`, `x5c`) are ignored."""
        try:
            header = jws.extract_compact(token.encode(), None, self._registry).protected
        except (JoseError, ValueError, RecursionError) as error:
            raise _malformed() from error
        if not isinstance(header, dict):
            raise _malformed()
        algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise InvalidToken("algorithm", "the token's algorithm is not accepted: see the setting oidc_algorithms")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise InvalidToken("kind", "the token's type must be 'at+jwt' or 'JWT': send an access token")
        if any(name in header for name in _UNKNOWN_EXTENSIONS):
            raise InvalidToken("malformed", "the token has critical extensions; none is known here")
        if not isinstance(key_id, str) or not 0 < len(key_id) <= _MAX_KEY_ID:
            raise InvalidToken("malformed", "the token names no key id ('kid')")
        return algorithm, key_id

    def _verified(self, token: str, algorithm: str, key: SigningKey) -> Mapping[str, Any]:
        """The claims of a token with a right signature."""
        if key.algorithm not in (None, algorithm):
            raise InvalidToken("algorithm", "the token's algorithm is not that of its key")
        try:
            payload = jws.deserialize_compact(token, key.key, [algorithm], self._registry).payload
        except (JoseError, ValueError, TypeError) as error:
            raise InvalidToken("signature", "the token's signature is wrong") from error
        try:
            claims = json.loads(payload or b"")
        except (ValueError, RecursionError) as error:
            raise _malformed() from error
        if not isinstance(claims, dict):
            raise _malformed()
        return claims


def _malformed() -> InvalidToken:
    return InvalidToken("malformed", "the token is no JWS in compact serialization")

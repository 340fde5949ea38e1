"""The content of an access token: issuer, audience, times, subject and roles. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.common.identity.principal import Principal, Role, roles_in
from services.common.identity.problems import InvalidToken
from services.common.identity.sender_ids import sender_id

LEEWAY_S: Final = 30
_MAX_TIME: Final = 2**53
_OTHER_TOKENS: Final = frozenset(("id", "refresh", "offline", "logout"))  # Keycloak names the kind in the payload
_OF_ID_TOKENS: Final = ("at_hash", "c_hash")  # OpenID Connect Core 1.0, sections 3.1.3.6 and 3.3.2.11


@dataclass(frozen=True, slots=True)
class Expected:
    """The values that a site's tokens have.

    roles_claim : a claim, or a dotted path into objects
    roles_prefix : text before each role
    """

    issuer: str
    audience: str
    roles_claim: str
    roles_prefix: str = ""


def principal_of(claims: Mapping[str, Any], expected: Expected, now: float) -> Principal:
    """The principal of verified claims.

    Parameters
    ----------
    now : Unix time, in seconds

    Raises
    ------
    InvalidToken
        a claim is missing, malformed, or has another value
    """
    if claims.get("iss") != expected.issuer:
        raise InvalidToken("issuer", "the token's issuer is another one: log in at this server's provider")
    if expected.audience not in _texts(claims.get("aud")):
        raise InvalidToken("audience", "the token's audience is another one: ask the provider for a token of this API")
    if any(name in claims for name in _OF_ID_TOKENS) or str(claims.get("typ", "")).lower() in _OTHER_TOKENS:
        raise InvalidToken("kind", "this is no access token: send the access token of the same login")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise InvalidToken("malformed", "the token has no claim 'sub'")
    expires_at = _check_times(claims, now)
    return Principal(sender_id("oidc", expected.issuer, subject), roles_of(claims, expected), "token", expires_at)


def _check_times(claims: Mapping[str, Any], now: float) -> float:
    """Check `exp`, `nbf` and `iat` (RFC 7519, section 4.1); the time of expiry."""
    expires_at = _time(claims, "exp")
    if expires_at is None:
        raise InvalidToken("malformed", "the token has no claim 'exp'")
    if now >= expires_at + LEEWAY_S:
        raise InvalidToken("expired", "the token has expired: log in again, or refresh it")
    for name in ("nbf", "iat"):
        begin = _time(claims, name)
        if begin is not None and now < begin - LEEWAY_S:
            raise InvalidToken("not_yet_valid", f"the token's {name!r} is in the future: set the clocks")
    return expires_at


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_TIME:
        raise InvalidToken("malformed", f"the token's claim {name!r} is no time")
    return float(value)


def roles_of(claims: Mapping[str, Any], expected: Expected) -> frozenset[Role]:
    """The roles in a claim, a list or a text with spaces; other values in it are ignored."""
    value: Any = claims
    path = expected.roles_claim
    if path in claims:
        value = claims[path]
    else:
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    words = value.split() if isinstance(value, str) else value if isinstance(value, list) else ()
    return roles_in(words, expected.roles_prefix)


def _texts(value: Any) -> tuple[str, ...]:
    """A text or a list of texts (RFC 7519, section 4.1.3)."""
    found = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(text for text in found if isinstance(text, str))

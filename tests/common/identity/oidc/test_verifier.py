"""Tokens that are accepted, and every kind of forged or stale token, which is not."""

import base64
import hmac
import json
import re
import time
from collections.abc import Callable
from typing import Any, Final

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import RSAKey

from services.common.clients import SENDER_ID
from services.common.identity.oidc.verifier import MAX_TOKEN_BYTES
from services.common.identity.problems import InvalidToken, ProviderUnavailable
from tests.common.identity.oidc.issuer import AUDIENCE, EC, OTHER_RSA, RSA, Issuer, claims, public, token, verifier

pytestmark = pytest.mark.anyio


def now_s() -> int:
    """Unix time at the moment of a test, which may run minutes after this file was read."""
    return int(time.time())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def header(**changes: Any) -> dict[str, Any]:
    return {"alg": "RS256", "typ": "at+jwt", "kid": "one", **changes}


def signed_with_the_public_key() -> str:
    """HS256 with the provider's public key as the secret (RFC 8725, section 2.1)."""
    signed = f"{encoded(header(alg='HS256'))}.{encoded(claims())}"
    signature = hmac.digest(RSA.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def tampered() -> str:
    head, _, signature = token().split(".")
    return f"{head}.{encoded(claims(roles=['admin']))}.{signature}"


def unsigned(**changes: Any) -> str:
    return f"{encoded(header(alg='none', **changes))}.{encoded(claims())}."


REFUSED: Final[dict[str, tuple[str, Callable[[], str]]]] = {
    "expired": ("expired", lambda: token(claims(exp=now_s() - 60))),
    "used before its time": ("not_yet_valid", lambda: token(claims(nbf=now_s() + 120))),
    "issued in the future": ("not_yet_valid", lambda: token(claims(iat=now_s() + 120))),
    "of another issuer": ("issuer", lambda: token(claims(iss="https://login.example.org/realms/other"))),
    "of another audience": ("audience", lambda: token(claims(aud=["account", "page"]))),
    "an ID token of the page": ("audience", lambda: token(claims(aud="page", at_hash="x"), typ="JWT")),
    "an ID token of this audience": ("kind", lambda: token(claims(at_hash="x"), typ="JWT")),
    "an ID token of Keycloak": ("kind", lambda: token(claims(typ="ID"), typ="JWT")),
    "of another type": ("kind", lambda: token(typ="logout+jwt")),
    "without a type": ("kind", lambda: token(typ=None)),
    "unsigned": ("algorithm", unsigned),
    "unsigned, in capitals": ("algorithm", lambda: unsigned().replace(encoded("none"), encoded("NONE"))),
    "signed with the public key": ("algorithm", signed_with_the_public_key),
    "of an algorithm that is not listed": ("algorithm", lambda: token(algorithm="RS512")),
    "of the algorithm of another type of key": ("unknown_key", lambda: token(None, EC, "ES256", kid="one")),
    "tampered with": ("signature", tampered),
    "without a signature": ("signature", lambda: token().rpartition(".")[0] + "."),
    "of another key with the same id": ("signature", lambda: token(key=OTHER_RSA)),
    "of an unknown key": ("unknown_key", lambda: token(key=OTHER_RSA, kid="nobody")),
    "with the key in it": ("unknown_key", lambda: token(key=OTHER_RSA, kid="own", jwk=public(OTHER_RSA, kid="own"))),
    "with the key in it, and a known id": ("signature", lambda: token(key=OTHER_RSA, jwk=public(OTHER_RSA))),
    "with the address of a key": ("signature", lambda: token(key=OTHER_RSA, jku="https://evil.example.org/jwks")),
    "with the address of a certificate": ("signature", lambda: token(key=OTHER_RSA, x5u="https://evil.example.org/c")),
    "without a key id": ("malformed", lambda: token(kid=None)),
    "with a key id that is no text": ("malformed", lambda: f"{encoded(header(kid=['one']))}.{encoded(claims())}.AAAA"),
    "with a critical extension": ("malformed", lambda: f"{encoded(header(crit=['exp']))}.{encoded(claims())}.AAAA"),
    "with an unencoded payload": ("malformed", lambda: f"{encoded(header(b64=False))}.{encoded(claims())}.AAAA"),
    "truncated": ("malformed", lambda: token().partition(".")[0] + ".."[:1]),
    "cut in its signature": ("signature", lambda: token()[:-40]),
    "encrypted": ("malformed", lambda: "eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d"),
    "huge": ("malformed", lambda: token(claims(note="x" * MAX_TOKEN_BYTES))),
    "without an expiry": ("malformed", lambda: token(claims(exp=None))),
    "with an expiry that is a text": ("malformed", lambda: token(claims(exp=str(now_s() + 60)))),
    "with an expiry that is true": ("malformed", lambda: token(claims(exp=True))),
    "with an endless expiry": ("malformed", lambda: token(claims(exp=float("inf")))),
    "without a subject": ("malformed", lambda: token(claims(sub=None))),
    "of no object": ("malformed", lambda: token(b"[1]")),
    "of no JSON": ("malformed", lambda: token(b"\xff\xfe")),
    "of deep JSON": ("malformed", lambda: token(b"[" * 6000)),
    "with a header of no object": ("malformed", lambda: f"{encoded([1])}.{encoded(claims())}.AAAA"),
    "of other characters": ("malformed", lambda: "eyJ\u00e9.\u00e9.\u00e9"),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_a_forged_or_stale_token_is_refused(kind: str) -> None:
    cause, make = REFUSED[kind]
    tokens = verifier(Issuer())
    with pytest.raises(InvalidToken) as refused:
        await tokens.principal(make())
    assert refused.value.cause == cause
    assert tokens.refused == {cause: 1}
    assert refused.value.document()["code"] == "unauthorized"
    assert refused.value.headers() == {"www-authenticate": 'Bearer error="invalid_token"'}


async def test_a_token_gives_an_id_without_a_name_and_its_roles() -> None:
    tokens = verifier(Issuer())
    ann = await tokens.principal(token())
    assert re.fullmatch(SENDER_ID, ann.id)
    assert "ann" not in ann.id
    assert ann.roles == {"submit", "read"}
    assert ann.way == "token"
    assert (await tokens.principal(token(claims(sub="bob")))).id != ann.id
    assert (await tokens.principal(token(claims(roles=["root", 1, None], aud=["x", AUDIENCE])))).roles == set()
    assert (await tokens.principal(token(None, EC, "ES256", kid="two", typ="JWT"))).id == ann.id


async def test_a_seen_token_needs_no_second_verification_until_it_expires() -> None:
    now = float(begin := now_s())
    tokens = verifier(Issuer(), lambda: now)
    given = token(claims(exp=begin + 100))
    first = await tokens.principal(given)
    assert await tokens.principal(given) is first
    now += 200
    with pytest.raises(InvalidToken, match="unauthorized") as stale:
        await tokens.principal(given)
    assert stale.value.cause == "expired"


async def test_a_seen_token_ends_with_its_key() -> None:
    issuer = Issuer()
    tokens = verifier(issuer)
    await tokens.principal(token())
    issuer.documents = [public(EC)]
    await tokens.keys.refresh()
    with pytest.raises(InvalidToken) as refused:
        await tokens.principal(token())
    assert refused.value.cause == "unknown_key"


async def test_a_key_with_an_algorithm_verifies_no_other() -> None:
    tokens = verifier(Issuer(public(RSA, alg="PS256")))
    with pytest.raises(InvalidToken) as refused:
        await tokens.principal(token())
    assert refused.value.cause == "algorithm"


async def test_keys_that_are_weak_secret_or_for_encryption_verify_nothing() -> None:
    with pytest.warns(SecurityWarning):
        weak = RSAKey.generate_key(1024, {"kid": "one"}, private=True)
    secret = {"kty": "oct", "kid": "one", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U"}
    broken = {"kty": "RSA", "kid": "one", "n": "!", "e": "AQAB"}
    others = (public(RSA, use="enc"), public(RSA, key_ops=["sign"]), public(RSA, alg=7), {"kty": "RSA"})
    for document in (public(weak), secret, broken, {**broken, "n": 7}, {"kty": "EC", "kid": "one"}, *others):
        with pytest.raises(InvalidToken) as refused:
            await verifier(Issuer(document)).principal(token(key=weak if document == public(weak) else RSA))
        assert refused.value.cause == "unknown_key"


async def test_without_any_keys_a_token_is_refused_for_now() -> None:
    issuer = Issuer()
    issuer.down = True
    with pytest.raises(ProviderUnavailable):
        await verifier(issuer).principal(token())

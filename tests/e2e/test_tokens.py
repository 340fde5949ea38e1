"""Access tokens of a real provider, and forged ones, against a real gateway."""

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, Final

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.e2e.login_gateway import KEY, LoginGateway, running_login
from tests.javascript import PackagesMissing
from tests.oidc_provider import new_key

pytestmark = pytest.mark.e2e
_HOUR_S: Final = 3600
_TIMED: Final = 200


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoginGateway]:
    try:
        with running_login(tmp_path_factory.mktemp("tokens")) as running:
            yield running
    except PackagesMissing as missing:  # `.ci/run` lists it
        pytest.skip(str(missing))


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token."""
    header, claims = (json.loads(base64.urlsafe_b64decode(f"{part}==")) for part in token.split(".")[:2])
    return header, claims


def _encode(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def _signed(gateway: LoginGateway, *, key: RSAKey | None = None, **changes: Any) -> str:
    """A token as the provider's, with other claims; signed by the provider's key unless by another."""
    header, claims = _parts(gateway.provider.token())
    merged = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode({**header}, merged, key or gateway.provider.keys[0])


def _unsigned(gateway: LoginGateway) -> str:
    header, claims = _parts(gateway.provider.token())
    return f"{_encode(header | {'alg': 'none'})}.{_encode(claims)}."


def _by_public_key(gateway: LoginGateway) -> str:
    """Signed by HS256, with the public key as the secret."""
    header, claims = _parts(gateway.provider.token())
    signed = f"{_encode(header | {'alg': 'HS256'})}.{_encode(claims)}"
    digest = hmac.digest(gateway.provider.keys[0].as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def _tampered(gateway: LoginGateway) -> str:
    header, claims, signature = gateway.provider.token().split(".")
    return f"{header}.{_encode(_parts(f'{header}.{claims}.')[1] | {'roles': ['admin']})}.{signature}"


def _with_own_key(gateway: LoginGateway) -> str:
    """Signed by the attacker's key, which stands in the token's header."""
    header, claims = _parts(gateway.provider.token())
    own = new_key()
    return jwt.encode({**header, "kid": own.kid, "jwk": own.as_dict(private=False)}, claims, own)


FORGED: Final[dict[str, Callable[[LoginGateway], str]]] = {
    "expired": lambda gateway: _signed(gateway, exp=int(time.time()) - _HOUR_S),
    "without an end": lambda gateway: _signed(gateway, exp=None),
    "not valid yet": lambda gateway: _signed(gateway, nbf=int(time.time()) + _HOUR_S),
    "of another issuer": lambda gateway: _signed(gateway, iss="https://login.example.org"),
    "for another audience": lambda gateway: gateway.provider.token(audience="https://other.example.org"),
    "without an audience": lambda gateway: _signed(gateway, aud=None),
    "without a subject": lambda gateway: _signed(gateway, sub=None),
    "unsigned": _unsigned,
    "signed by the public key as a secret": _by_public_key,
    "tampered": _tampered,
    "truncated": lambda gateway: gateway.provider.token()[:-20],
    "without its signature": lambda gateway: gateway.provider.token().rpartition(".")[0] + ".",
    "signed by another key": lambda gateway: _signed(gateway, key=new_key()),
    "signed by a key of its own header": _with_own_key,
    "an id token": lambda gateway: jwt.encode(
        {"alg": "RS256", "typ": "JWT", "kid": gateway.provider.keys[0].kid},
        _parts(gateway.provider.token())[1] | {"aud": "page", "nonce": "n"},
        gateway.provider.keys[0],
    ),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_or_stale_token_is_refused(gateway: LoginGateway, forge: Callable[[LoginGateway], str]) -> None:
    assert gateway.get(gateway.provider.token()).status_code == httpx.codes.OK
    refused = gateway.get(forge(gateway))
    assert (refused.status_code, refused.json()["code"]) == (httpx.codes.UNAUTHORIZED, "unauthorized")
    assert refused.headers["www-authenticate"].startswith("Bearer")


def test_keys_rotate_without_a_failed_call(gateway: LoginGateway) -> None:
    """While a client sends with new and old tokens, the provider signs with another key, then forgets the old one."""
    statuses: list[int] = []
    ended, began = threading.Event(), threading.Event()

    def send() -> None:
        with httpx.Client(base_url=gateway.url, timeout=60) as client:
            while not ended.is_set():
                headers = {"authorization": f"Bearer {gateway.provider.token()}"}
                statuses.extend(client.get("/v1/jobs", headers=headers).status_code for _ in range(3))
                began.set()

    sender = threading.Thread(target=send)
    sender.start()
    began.wait(60)
    old = gateway.provider.token()
    for _ in range(2):
        gateway.provider.change(keys=[new_key(), *gateway.provider.keys[:1]])
        assert gateway.get(gateway.provider.token()).status_code == httpx.codes.OK
    ended.set()
    sender.join()
    assert set(statuses) == {httpx.codes.OK}
    assert gateway.get(old).status_code == httpx.codes.UNAUTHORIZED  # its key is two rotations old


def test_tokens_are_taken_while_the_provider_is_down_and_after_it(gateway: LoginGateway) -> None:
    token = gateway.provider.token()
    assert gateway.get(token).status_code == httpx.codes.OK
    gateway.provider.stop()
    assert gateway.get(token).status_code == httpx.codes.OK
    assert gateway.get(_by_unknown_key(token)).status_code in (
        httpx.codes.UNAUTHORIZED,
        httpx.codes.SERVICE_UNAVAILABLE,
    )
    gateway.provider.start()
    assert gateway.get(gateway.provider.token()).status_code == httpx.codes.OK


def _by_unknown_key(token: str) -> str:
    header, claims = _parts(token)
    own = new_key()
    return jwt.encode({**header, "kid": own.kid}, claims, own)


def test_no_token_subject_or_client_is_in_the_log(gateway: LoginGateway) -> None:
    gateway.get(gateway.provider.token())
    gateway.get(FORGED["tampered"](gateway))
    assert not any(word in gateway.log.read_text() for word in ("eyJ", "secret-of-modality", KEY))


def test_print_the_time_of_a_request(gateway: LoginGateway) -> None:
    """Median of wall times over one connection, in turns; nothing is asserted of a shared machine."""
    credentials = {"none, /livez": None, "key": KEY, "token": gateway.provider.token()}
    times: dict[str, list[float]] = {name: [] for name in credentials}
    with httpx.Client(base_url=gateway.url) as client:
        for _ in range(_TIMED):
            for name, credential in credentials.items():
                headers = {"authorization": f"Bearer {credential}"} if credential else {}
                began = time.perf_counter()
                response = client.get("/v1/jobs" if credential else "/livez", headers=headers)
                times[name].append(time.perf_counter() - began)
                assert response.status_code == httpx.codes.OK
    for name, found in times.items():
        print(f"{name}: {1000 * median(found):.2f} ms")

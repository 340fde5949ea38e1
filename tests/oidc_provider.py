"""A real provider of OpenID Connect, npm's `oidc-provider`: logins of the page, access tokens as JWT (RFC 9068)."""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from joserfc.jwk import RSAKey

from tests.javascript import NODE, packages
from tests.running import free_ports

AUDIENCE: Final = "https://ich.example.org"
PAGE: Final = "page"  # the client of the page, a public one
MACHINE: Final = ("modality", "secret-of-modality")  # a client with a secret
_SCRIPT: Final = Path(__file__).with_suffix(".mjs")


@dataclass
class OidcProvider:
    """A provider that tests start and stop; its port, keys and roles stay.

    roles : by the name of an account or a client
    """

    redirect_uris: Sequence[str]
    roles: Mapping[str, Sequence[str]]
    life_s: int = 3600
    port: int = field(default_factory=lambda: free_ports(1)[0])
    keys: list[RSAKey] = field(default_factory=lambda: [new_key()])
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def issuer(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it answers. Logins of an earlier start are lost.

        Raises
        ------
        tests.javascript.PackagesMissing
            npm cannot fetch the package
        """
        places = {"modules": str(packages()), "port": self.port, "audience": AUDIENCE}
        more = {"redirect_uris": list(self.redirect_uris), "roles": dict(self.roles)}
        self._process = process = subprocess.Popen([NODE, str(_SCRIPT)], stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(json.dumps(places | more | self._changeable()).encode())
        process.stdin.close()
        for _ in range(600):
            assert process.poll() is None, "the provider does not start"
            if self._answers():
                return
            time.sleep(0.05)
        raise AssertionError("the provider does not answer")

    def stop(self) -> None:
        """Stop it; a stopped one is left alone."""
        if self._process:
            self._process.terminate()
            self._process.wait(20)
        self._process = None

    def change(self, *, life_s: int | None = None, keys: list[RSAKey] | None = None) -> None:
        """Change the life of access tokens, or the keys; the first one signs."""
        self.life_s, self.keys = life_s or self.life_s, keys or self.keys
        httpx.post(f"{self.issuer}/test/configuration", json=self._changeable()).raise_for_status()

    def token(self, *, audience: str = AUDIENCE) -> str:
        """An access token of the client with a secret."""
        grant = {"grant_type": "client_credentials", "resource": audience}
        response = httpx.post(f"{self.issuer}/token", data=grant, auth=MACHINE)
        assert response.is_success, response.text
        return str(response.json()["access_token"])

    def _changeable(self) -> dict[str, Any]:
        keys = [key.as_dict(private=True) for key in self.keys]
        return {"life_s": self.life_s, "keys": keys}

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.issuer}/.well-known/openid-configuration").is_success
        except httpx.TransportError:
            return False


def new_key() -> RSAKey:
    """A key that signs by RS256."""
    key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"})
    key.ensure_kid()
    return key


@contextmanager
def running_provider(redirect_uris: Sequence[str], roles: Mapping[str, Sequence[str]]) -> Iterator[OidcProvider]:
    """A running provider, stopped at the end."""
    provider = OidcProvider(redirect_uris, roles)
    try:
        provider.start()
        yield provider
    finally:
        provider.stop()

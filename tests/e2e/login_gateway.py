"""A gateway without stages whose senders log in at a real provider, and the page in front of both."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from redis import Redis

from tests.oidc_provider import AUDIENCE, MACHINE, PAGE, OidcProvider, running_provider
from tests.redis_process import redis_url, running_redis
from tests.running import ROOT, free_ports

KEY = "key-of-the-modality-7c1"
ROLES = {"ann": ["submit", "read"], "bob": ["read_all"], MACHINE[0]: ["submit", "read"]}


@dataclass(frozen=True)
class LoginGateway:
    """A gateway with its provider."""

    url: str
    provider: OidcProvider
    log: Path

    def get(self, token: str | None, path: str = "/v1/jobs") -> httpx.Response:
        """The answer to a request with a token."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return httpx.get(f"{self.url}{path}", headers=headers, timeout=60)


@contextmanager
def running_login(folder: Path) -> Iterator[LoginGateway]:
    """Start provider, Redis and gateway; stop them at the end."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    (folder / "senders").write_text(f"modality {KEY}\n")
    (folder / "senders").chmod(0o600)
    with running_provider([f"{url}/"], ROLES) as provider, running_redis(folder) as redis:
        settings = _settings(folder, provider, redis)
        with (folder / "log").open("wb") as log, _process(settings, port, log.fileno()) as process:
            _wait(url, process, folder / "log")
            yield LoginGateway(url, provider, folder / "log")


def _settings(folder: Path, provider: OidcProvider, redis: Redis) -> dict[str, str]:
    places = {name: str(folder / name) for name in ("spool_dir", "jobs_dir", "audit_file")}
    nowhere = {f"{stage}_url": "http://127.0.0.1:9" for stage in ("preprocess", "cnn", "rnn")}
    oidc = {"oidc_issuer": provider.issuer, "oidc_audience": AUDIENCE, "oidc_client_id": PAGE}
    more = {
        "oidc_scopes": "openid profile",
        "senders_file": str(folder / "senders"),
        "redis_url": redis_url(redis),
        "drain_s": "0",
    }
    return {f"ICH_GATEWAY_{name.upper()}": value for name, value in (places | nowhere | oidc | more).items()}


@contextmanager
def _process(settings: Mapping[str, str], port: int, log: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "services.gateway", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(1200):
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            httpx.get(f"{url}/livez").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text()[-3000:])

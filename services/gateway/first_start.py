"""`python -m services.gateway.first_start`: writes the secrets that a site has not brought, once, for Compose.

secrets/redis-password    the password of Redis, for the gateway and its workers
secrets/redis.conf        the same for Redis itself, which would show it on a command line
tls/certificate.pem       a self-signed certificate for the proxy, and its key.pem
tls/self-signed           its names: it is renewed here if they change; a site's own certificate has no such file
"""

import argparse
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

CERTIFICATE: Final = "certificate.pem"
KEY: Final = "key.pem"
SELF_SIGNED: Final = "self-signed"
_PASSWORD_BYTES: Final = 32
_DAYS: Final = 397  # the longest that browsers accept (CA/Browser Forum, Baseline Requirements 6.3.2)
_RENEW_S: Final = 60 * 24 * 3600
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_MODE: Final = 0o640  # Redis and the proxy have other users, and the group of the gateway


def main(arguments: Sequence[str] | None = None) -> None:
    """Write what is missing."""
    parser = argparse.ArgumentParser(prog="python -m services.gateway.first_start", description=__doc__)
    parser.add_argument("--secrets", type=Path, required=True, help="folder for the password of Redis")
    parser.add_argument("--tls", type=Path, required=True, help="folder for the certificate of the proxy")
    options = parser.parse_args(arguments)
    write_redis_password(options.secrets)
    write_certificate(options.tls, _hosts(os.environ.get("ICH_HOSTS", "[]")))


def write_redis_password(folder: Path) -> None:
    """Generate a password, unless there is one, and write the configuration of Redis with it."""
    password = folder / "redis-password"
    if not password.exists():
        _write(password, secrets.token_urlsafe(_PASSWORD_BYTES))
    _write(folder / "redis.conf", f"requirepass {password.read_text()}\n")


def write_certificate(folder: Path, hosts: Sequence[str]) -> None:
    """Generate a self-signed certificate, unless there is one that lasts and has these names.

    Raises
    ------
    SystemExit
        the folder cannot be written, or openssl is missing or fails
    """
    try:
        names = ",".join(map(_alternative_name, dict.fromkeys((*_LOCAL, *hosts))))
        if not (folder / CERTIFICATE).exists() or _is_outdated(folder, names):
            _generate(folder, names)
    except OSError as error:
        raise SystemExit(
            f"{folder} has no {CERTIFICATE}, and none can be generated: {error}; put the site's {CERTIFICATE} and "
            f"{KEY} there, readable for the proxy, or unset ICH_TLS"
        ) from error


def _generate(folder: Path, names: str) -> None:
    """Write the certificate last: an interrupted run is repeated."""
    certificate, key = folder / f".{CERTIFICATE}", folder / f".{KEY}"
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(_DAYS),
             "-subj", "/CN=Intracranial haemorrhage service", "-addext", f"subjectAltName={names}",
             "-keyout", str(key), "-out", str(certificate))  # fmt: skip
    _write(folder / SELF_SIGNED, names)
    for path in (key, certificate):
        path.chmod(_MODE)
        path.rename(path.with_name(path.name[1:]))


def _is_outdated(folder: Path, names: str) -> bool:
    """Whether a certificate from here ends soon, or has other names. A site renews its own one."""
    mark = folder / SELF_SIGNED
    if not mark.exists():
        return False
    if mark.read_text() != names:
        return True
    command = ("openssl", "x509", "-checkend", str(_RENEW_S), "-noout", "-in", str(folder / CERTIFICATE))
    return subprocess.run(command, capture_output=True, check=False).returncode != 0  # noqa: S603 - our own words


def _openssl(*arguments: str) -> None:
    """Run openssl; OSError with its message where it fails or is missing."""
    done = subprocess.run(("openssl", *arguments), capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise OSError(f"openssl: {done.stderr.strip()}")


def _hosts(text: str) -> tuple[str, ...]:
    """The names by which clients reach the service; SystemExit for anything but a JSON list of texts."""
    try:
        return TypeAdapter(tuple[str, ...]).validate_json(text)
    except ValidationError as error:
        raise SystemExit("ICH_HOSTS must be a JSON list of names, such as '[\"ct.example.org\"]'") from error


def _alternative_name(host: str) -> str:
    address = host.strip("[]")
    try:
        return f"IP:{ip_address(address)}"
    except ValueError:
        return f"DNS:{host}"


def _write(path: Path, text: str) -> None:
    """Write a file atomically, for its owner and group only."""
    part = path.with_name(f".{path.name}")
    part.unlink(missing_ok=True)
    with part.open("x") as file:
        os.fchmod(file.fileno(), _MODE)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


if __name__ == "__main__":
    main(sys.argv[1:])

"""`python -m services.gateway.wait_ready NAME=URL ...`: print a line for each service when it is ready.

`make run` starts it. Logs are JSON on standard error; these lines on standard output are for people. It imports the
standard library alone, since it starts beside the services on the same cores.
"""

import argparse
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

_POLL_S: Final = 0.2
_REQUEST_S: Final = 5.0
_REDIS_PORT: Final = 6379
ReadyProbe = Callable[[str], bool]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 where all services became ready in time."""
    parser = argparse.ArgumentParser(prog="python -m services.gateway.wait_ready", description=__doc__)
    parser.add_argument("services", nargs="+", metavar="NAME=URL", help="an http:// address, redis:// or unix://")
    parser.add_argument("--wait", type=float, default=300, metavar="SECONDS", help="time-out (%(default)s)")
    options = parser.parse_args(arguments)
    services = dict(named.split("=", 1) for named in options.services)
    missing = wait_ready(services, is_ready, options.wait)
    for name in missing:
        _print(f"{name} is not ready after {options.wait:.0f} s: {services[name]}; see its log on standard error")
    return 1 if missing else 0


def wait_ready(services: Mapping[str, str], probe: ReadyProbe, timeout_s: float) -> list[str]:
    """Print a line for each service when it is ready; return the names of services that are not ready in time.

    Services are probed from last to first, so that no line comes before the lines of services that it depends on.
    """
    begin, waiting = time.monotonic(), list(services)
    while True:
        found = {name for name in reversed(waiting) if probe(services[name])}
        for name in [name for name in waiting if name in found]:
            _print(f"{name} ready: {services[name]} ({time.monotonic() - begin:.1f} s)")
            waiting.remove(name)
        if not waiting or time.monotonic() - begin > timeout_s:
            return waiting
        time.sleep(_POLL_S)


def is_ready(url: str) -> bool:
    """Whether a service is ready: by `/readyz`, or by a ping of Redis."""
    address = urlsplit(url)
    try:
        return _is_ok(address) if address.scheme == "http" else _redis_answers(address)
    except (OSError, HTTPException):
        return False


def _is_ok(address: SplitResult) -> bool:
    connection = HTTPConnection(address.netloc, timeout=_REQUEST_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200  # noqa: PLR2004 - OK
    finally:
        connection.close()


def _redis_answers(address: SplitResult) -> bool:
    """Whether Redis answers `PING`, an inline command of its protocol, and no longer loads its data."""
    unix = address.scheme == "unix"
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as connection:
        connection.settimeout(_REQUEST_S)
        connection.connect(unquote(address.path) if unix else (address.hostname, address.port or _REDIS_PORT))
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")


def _print(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())

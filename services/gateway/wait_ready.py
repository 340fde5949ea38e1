"""`python -m services.gateway.wait_ready NAME=URL ...`: print a line for each service when it is ready.

`make run` starts it. Logs are JSON on standard error; these lines on standard output are for people.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import httpx
from redis import Redis
from redis.exceptions import RedisError

_POLL_S: Final = 0.3
_REQUEST_S: Final = 5.0
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
    if url.startswith(("redis:", "unix:")):
        return _redis_answers(url)
    try:
        return httpx.get(f"{url}/readyz", timeout=_REQUEST_S, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _redis_answers(url: str) -> bool:
    try:
        with Redis.from_url(url, socket_timeout=_REQUEST_S, socket_connect_timeout=_REQUEST_S) as redis:
            return bool(redis.ping())
    except RedisError:
        return False


def _print(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m services.gateway.wait_ready NAME=URL ...`: one plain line a service, when it is ready. `make run` uses it.

Logs are JSON on standard error; these lines are for people, on standard output.
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
_ASK_S: Final = 5.0
ReadyProbe = Callable[[str], bool]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 where all became ready."""
    parser = argparse.ArgumentParser(prog="python -m services.gateway.wait_ready", description=__doc__)
    parser.add_argument("services", nargs="+", metavar="NAME=URL", help="an http:// address, or redis://")
    parser.add_argument("--wait", type=float, default=300, metavar="SECONDS", help="give up after (%(default)s)")
    options = parser.parse_args(arguments)
    services = dict(named.split("=", 1) for named in options.services)
    late = announce(services, is_ready, options.wait)
    for name in late:
        _say(f"{name} is not ready after {options.wait:.0f} s: {services[name]}; see its log on standard error")
    return 1 if late else 0


def announce(services: Mapping[str, str], ready: ReadyProbe, wait_s: float) -> list[str]:
    """Print a line for each service when it is ready; the names of those that are not, when the time is over.

    The last is asked first: a service that needs those before it never is announced before them.
    """
    begin, waiting = time.monotonic(), list(services)
    while True:
        found = {name for name in reversed(waiting) if ready(services[name])}
        for name in [name for name in waiting if name in found]:
            _say(f"{name} ready: {services[name]} ({time.monotonic() - begin:.1f} s)")
            waiting.remove(name)
        if not waiting or time.monotonic() - begin > wait_s:
            return waiting
        time.sleep(_POLL_S)


def is_ready(url: str) -> bool:
    """Whether a service answers that it can work."""
    if url.startswith("redis:"):
        return _redis_answers(url)
    try:
        return httpx.get(f"{url}/readyz", timeout=_ASK_S, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _redis_answers(url: str) -> bool:
    try:
        with Redis.from_url(url, socket_timeout=_ASK_S, socket_connect_timeout=_ASK_S) as redis:
            return bool(redis.ping())
    except RedisError:
        return False


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())

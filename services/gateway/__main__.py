"""`python -m services.gateway`: the gateway under uvicorn. Without API keys it binds to a loopback address only."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Final

import uvicorn

from services.common.connections.server_options import SERVER_OPTIONS
from services.common.connections.table import raise_descriptor_limit
from services.common.loopback import is_loopback
from services.gateway.settings import Settings

_REJECTED: Final = {
    "--host": "set ICH_GATEWAY_HOST instead",
    "--workers": "the gateway is one process, since it owns its spool",
    "--forwarded-allow-ips": "set ICH_GATEWAY_PROXIES instead",
    "--proxy-headers": "set ICH_GATEWAY_PROXIES instead",
    "--http": "the gateway has its own protocol class, which enforces the time-outs of connections",
}
_FOREIGN: Final = ("UVICORN_FORWARDED_ALLOW_IPS", "FORWARDED_ALLOW_IPS")  # believed by uvicorn alone
_PROTOCOL: Final = ("--http", SERVER_OPTIONS["http"], "--ws", SERVER_OPTIONS["ws"], "--no-proxy-headers")
_BACKLOG: Final = ("--backlog", str(SERVER_OPTIONS["backlog"]))
_DESCRIPTION: Final = "Serve the gateway: the public API, the page and the jobs, in front of the three stages."
_EPILOG: Final = """settings (environment variables; an unknown name stops the start):
{settings}
  docs/reference/settings.md describes them. `make run` sets ports and folders.

options of uvicorn:
  All other arguments are passed to uvicorn, which also reads UVICORN_* from the environment: --log-level,
  --no-access-log, --timeout-keep-alive, --timeout-graceful-shutdown, --ssl-keyfile, --ssl-certfile, --root-path.
  --host is rejected: use ICH_GATEWAY_HOST; and --forwarded-allow-ips: use ICH_GATEWAY_PROXIES. --workers and --http
  are rejected: the gateway is one process, with a protocol of its own. `python -m uvicorn --help` lists all options.

example:
  ICH_GATEWAY_MAX_FILES=4000 python -m services.gateway --port 8000 --log-level warning
"""


def checked_host(settings: Settings) -> str:
    """The address to bind; SystemExit for an address of the network without API keys."""
    name = "HOST" if settings.published_host is None else "PUBLISHED_HOST"
    public = settings.published_host or settings.host
    if not settings.asks_for_identity and not is_loopback(public):
        raise SystemExit(
            f"ICH_GATEWAY_{name}={public} is reachable by other machines, but no credential is required: "
            "name a file of keys in ICH_GATEWAY_SENDERS_FILE, or set the host to 127.0.0.1"
        )
    return settings.host


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT."""
    options, others = _parser().parse_known_args(arguments)
    if rejected := [other for other in others if other.partition("=")[0] in _REJECTED]:
        raise SystemExit(f"{rejected[0]}: {_REJECTED[rejected[0].partition('=')[0]]}; see --help")
    if foreign := [name for name in _FOREIGN if os.environ.get(name)]:
        raise SystemExit(f"{foreign[0]} is not read: set ICH_GATEWAY_PROXIES instead; see --help")
    host = checked_host(Settings.read())
    raise_descriptor_limit()
    port = () if options.port is None else ("--port", str(options.port))
    command = ["services.gateway.app:create", "--factory", "--host", host, *port, *_BACKLOG, *others, *_PROTOCOL]
    uvicorn.main(command, auto_envvar_prefix="UVICORN")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.gateway",
        usage="%(prog)s [-h] [--port PORT] [options of uvicorn]",
        description=_DESCRIPTION,
        epilog=_EPILOG.format(settings="\n".join(_settings())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--port", type=int, help="port to listen on (UVICORN_PORT, else 8000)")
    return parser


def _settings() -> Iterator[str]:
    prefix = Settings.model_config["env_prefix"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else field.default
        yield f"  {prefix}{name.upper():30} {default if default != () else ''}".rstrip()


if __name__ == "__main__":
    main(sys.argv[1:])

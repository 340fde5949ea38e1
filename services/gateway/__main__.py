"""`python -m services.gateway`: the gateway under uvicorn. Without a senders file it is bound to this machine alone."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Final

import uvicorn

from services.gateway.settings import Settings

_OURS: Final = {
    "--host": "the address to bind is the setting ICH_GATEWAY_HOST",
    "--workers": "one gateway owns its spool, so there is one process",
}
_DESCRIPTION: Final = "Serve the gateway: the public API, the page and the jobs, in front of the three stages."
_EPILOG: Final = """settings (from the environment; a misspelt name stops the start):
{settings}
  What each is for: docs/reference/settings.md. `make run` sets those of the ports and folders.

options of uvicorn:
  Every other argument is passed to uvicorn, which reads UVICORN_* from the environment too: --log-level,
  --no-access-log, --timeout-keep-alive, --timeout-graceful-shutdown, --ssl-keyfile, --ssl-certfile, --root-path,
  --forwarded-allow-ips. Not --host: the address is ICH_GATEWAY_HOST, which is checked against the senders file.
  Not --workers: one gateway owns its spool. `python -m uvicorn --help` lists all.

example:
  ICH_GATEWAY_MAX_FILES=4000 python -m services.gateway --port 8000 --log-level warning
"""


def checked_host(settings: Settings) -> str:
    """The address to bind; SystemExit where anybody could reach it and nobody is asked for a key."""
    if settings.senders_file is None and not _is_local(settings.host):
        raise SystemExit(
            f"ICH_GATEWAY_HOST={settings.host} lets other machines in, and nobody is asked for a key: "
            "name a file of keys in ICH_GATEWAY_SENDERS_FILE, or leave the host at 127.0.0.1"
        )
    return settings.host


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def main(arguments: Sequence[str]) -> None:
    """Serve until a signal."""
    options, others = _parser().parse_known_args(arguments)
    if named := [other for other in others if other.partition("=")[0] in _OURS]:
        raise SystemExit(f"{named[0]}: {_OURS[named[0].partition('=')[0]]}; see --help")
    host = checked_host(Settings.read())
    port = () if options.port is None else ("--port", str(options.port))
    command = ["services.gateway.app:create", "--factory", "--host", host, *port, *others]
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
    parser.add_argument("--port", type=int, help="where to listen (UVICORN_PORT, else 8000)")
    return parser


def _settings() -> Iterator[str]:
    prefix = Settings.model_config["env_prefix"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else field.default
        yield f"  {prefix}{name.upper():30} {default if default != () else ''}".rstrip()


if __name__ == "__main__":
    main(sys.argv[1:])

"""`python -m services.gateway`: the gateway under uvicorn, which takes its other options as arguments or `UVICORN_*`.

Without a senders file it is bound to this machine alone.
"""

import sys
from collections.abc import Sequence
from ipaddress import ip_address

import uvicorn

from services.gateway.settings import Settings


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
    host = checked_host(Settings.read())
    uvicorn.main(["services.gateway.app:create", "--factory", "--host", host, *arguments], auto_envvar_prefix="UVICORN")


if __name__ == "__main__":
    main(sys.argv[1:])

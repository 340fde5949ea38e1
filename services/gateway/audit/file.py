"""The file of the audit log: lines are appended whole or not at all, and the file rotates by its size."""

import errno
import fcntl
import logging
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.gateway.audit.chain import NO_HASH, read_line

log = logging.getLogger(__name__)
_OPEN: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_ROTATION_RETRY_S: Final = 60.0
_TAIL_BYTES: Final = 256 * 1024  # longer than any line


class AuditFileUnusable(Exception):
    """The message names the file, the fault and the remedy."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a log.

    last_hash : of the last whole line
    torn : whether an incomplete line follows it
    after_rotation : whether that line is in a rotated file, and the file of the log has none
    """

    last_hash: str
    torn: bool
    after_rotation: bool = False


_EMPTY: Final = Tail(NO_HASH, torn=False)


class AuditFile:
    """An open audit file, readable and writable by its owner alone.

    Parameters
    ----------
    max_bytes : the file rotates when it is larger
    keep : number of rotated files, `<name>.1` the newest; older ones are deleted
    """

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        self._path, self._max_bytes, self._keep = path, max_bytes, keep
        self._descriptor = -1
        self._begins_with: str | None = None
        self._rotates_after = 0.0
        self._closed = False

    def open(self) -> Tail:
        """Open or create the file; return its end, or that of the newest rotated file where it has no whole line.

        Raises
        ------
        AuditFileUnusable
            the path is not writable, or is no regular file
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._open()
            tail = _read_tail(self._descriptor)
            return tail if tail and tail.last_hash != NO_HASH else self._rotated_tail(tail)
        except OSError as error:
            raise AuditFileUnusable(
                f"{self._path}: the audit log cannot be opened ({error.strerror}); set ICH_GATEWAY_AUDIT_FILE to a "
                "file in a folder that the gateway can write"
            ) from error

    def _open(self) -> None:
        descriptor = os.open(self._path, _OPEN, 0o600)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise AuditFileUnusable(f"{self._path}: the audit log must be a regular file")
        os.fchmod(descriptor, 0o600)
        self._descriptor = descriptor

    def _rotated_tail(self, own: Tail | None) -> Tail:
        """The end of the newest rotated file; `own` is that of a file without a whole line."""
        found = self._newest_rotated()
        torn = (own or found or _EMPTY).torn
        last_hash = found.last_hash if found else NO_HASH
        return Tail(last_hash, torn, after_rotation=last_hash != NO_HASH)

    def _newest_rotated(self) -> Tail | None:
        try:
            descriptor = os.open(self._numbered(1), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return _read_tail(descriptor)
        finally:
            os.close(descriptor)

    def prepare(self) -> str | None:
        """Rotate a file above its size, and open the path again where it names another file.

        Returns
        -------
        the action of the first line of a new file: `rotate`, or `reopen` where somebody removed or replaced the file;
        None where the file has lines of this process

        Raises
        ------
        OSError
            there is no open file
        """
        if self._closed:
            raise OSError(errno.EBADF, "the log has ended")
        if self._descriptor < 0:
            self._open()
        elif self._was_replaced():
            self._reopen("reopen")
        elif os.fstat(self._descriptor).st_size > self._max_bytes and time.monotonic() >= self._rotates_after:
            self._try_to_rotate()
        return self._begins_with

    def _was_replaced(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(follow_symlinks=False), os.fstat(self._descriptor))
        except FileNotFoundError:
            return True

    def _try_to_rotate(self) -> None:
        """Rotate; after an error the same file takes the lines for a minute, unless it is closed already."""
        try:
            self._rotate()
        except OSError as error:
            self._rotates_after = time.monotonic() + _ROTATION_RETRY_S
            log.error("the audit log cannot rotate (%s): %s", error.strerror, self._path)  # noqa: TRY400 - one line
            if self._descriptor < 0:
                raise

    def _rotate(self) -> None:
        """Flush the file to disk, number it and the older ones, delete the oldest, and begin a new one."""
        os.fsync(self._descriptor)
        self._numbered(self._keep).unlink(missing_ok=True)
        for number in range(self._keep - 1, 0, -1):
            if self._numbered(number).exists():
                self._numbered(number).rename(self._numbered(number + 1))
        self._path.rename(self._numbered(1))
        self._reopen("rotate")

    def _reopen(self, action: str) -> None:
        self._release()
        self._begins_with = action
        self._open()

    def append(self, lines: bytes) -> None:
        """Write lines; after an OSError the file is as it was."""
        end, left = os.fstat(self._descriptor).st_size, memoryview(lines)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            os.ftruncate(self._descriptor, end)
            raise
        self._begins_with = None

    def duplicate(self) -> int:
        """A descriptor of the open file, which outlives a rotation; the caller closes it."""
        return os.dup(self._descriptor)

    def close(self) -> None:
        """Close the file for good."""
        self._closed = True
        self._release()

    def _release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def lock(path: Path) -> int:
    """Open a file for this process alone, until it ends; return its descriptor.

    Raises
    ------
    AuditFileUnusable
        another process has it
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AuditFileUnusable(
            f"{path}: another gateway writes this audit log; give each its own ICH_GATEWAY_AUDIT_FILE"
        ) from None
    return descriptor


def _read_tail(descriptor: int) -> Tail | None:
    """The end of a file; None of an empty one."""
    size = os.fstat(descriptor).st_size
    content = os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    if not content:
        return None
    *whole, rest = content.split(b"\n")
    torn = rest != b""
    for line in reversed(whole):
        if found := read_line(line):
            return Tail(found.link.hash, torn)
        torn = True
    return Tail(NO_HASH, torn=True)

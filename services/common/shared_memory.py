"""Files of shared memory regions in one private folder, which gateway and stages of one host share.

A region is a regular file of this user, mode 0600, in a folder of this user, mode 0700, on a tmpfs: its memory is the
same for all processes of the host, and its pixels never reach a disk. Its creator holds an exclusive lock (flock) while
it lives. The kernel drops that lock at its death, so that everybody else can see which regions have no owner.
"""

import errno
import fcntl
import mmap
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_OTHERS: Final = 0o077
_FLAGS: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO must not block
KEY: Final = re.compile(r"[0-9a-f]{32}")
_CREATION_S: Final = 60.0  # longest time between the creation of a file and its allocation
_POPULATED_BYTES: Final = 64 * 1024**2  # Python maps with its lock held: all threads wait for the pages of a region
_MOUNTS: Final = Path("/proc/self/mountinfo")


class SharedMemoryUnavailable(Exception):
    """The folder or a region cannot be used. The message has the reason and the remedy, and no name of a region."""


@contextmanager
def shared_folder(folder: Path) -> Iterator[int]:
    """The descriptor of the folder, which is created if it is missing.

    Raises
    ------
    SharedMemoryUnavailable
        the folder cannot be opened, belongs to another user, is open to others, or is on no tmpfs
    """
    try:
        folder.mkdir(_FOLDER_MODE, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise SharedMemoryUnavailable(f"{folder} cannot be opened ({errno.errorcode.get(error.errno or 0)})") from error
    try:
        _check_folder(os.fstat(handle), folder)
        yield handle
    finally:
        os.close(handle)


def create_region(folder: int, key: str, size: int) -> int:
    """The descriptor of a new file of so many bytes, allocated, and locked by this process.

    Raises
    ------
    SharedMemoryUnavailable
        the memory is full
    """
    try:
        file = os.open(key, _FLAGS | os.O_CREAT | os.O_EXCL, _FILE_MODE, dir_fd=folder)
    except OSError as error:
        raise SharedMemoryUnavailable("a shared memory region cannot be created") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        allocate(file, size)
    except BaseException:
        os.close(file)
        with suppress(OSError):
            os.unlink(key, dir_fd=folder)
        raise
    return file


def open_region(folder: int, key: str) -> int:
    """The descriptor of a region's file.

    Raises
    ------
    SharedMemoryUnavailable
        there is no such file, or it is no regular file of this user alone
    """
    if not KEY.fullmatch(key):
        raise SharedMemoryUnavailable("a key has 32 hexadecimal digits")
    try:
        file = os.open(key, _FLAGS, dir_fd=folder)
    except OSError as error:
        raise SharedMemoryUnavailable("there is no such region in this service's folder") from error
    found = os.fstat(file)
    if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & _OTHERS:
        return file
    os.close(file)
    raise SharedMemoryUnavailable("a region must be a regular file of this service's user, mode 0600")


def allocate(file: int, size: int) -> None:
    """Allocate the first bytes of the file: a later write to its memory cannot fail for lack of space (SIGBUS).

    Raises
    ------
    SharedMemoryUnavailable
        the memory is full
    """
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        raise SharedMemoryUnavailable(f"{size} bytes of shared memory cannot be allocated") from error


def map_region(file: int, size: int) -> memoryview:
    """The first bytes of the file in memory. They stay mapped while a view of them exists.

    Raises
    ------
    SharedMemoryUnavailable
        the process may not map so much
    """
    populate = mmap.MAP_POPULATE if size <= _POPULATED_BYTES else 0
    try:
        return memoryview(mmap.mmap(file, size, flags=mmap.MAP_SHARED | populate))
    except (OSError, ValueError) as error:  # ValueError: the file has been truncated
        raise SharedMemoryUnavailable(f"{size} bytes of shared memory cannot be mapped") from error


def has_owner(file: int) -> bool:
    """Whether the process that created the region lives and still uses it. `file` is a descriptor of `open_region`."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def remove_abandoned(folder: int) -> None:
    """Remove the files of regions whose owner has died. An empty young file may be one that is being created."""
    for key in filter(KEY.fullmatch, os.listdir(folder)):
        with suppress(SharedMemoryUnavailable, FileNotFoundError):
            file = open_region(folder, key)
            try:
                if not _is_being_created(os.fstat(file)) and not has_owner(file):
                    os.unlink(key, dir_fd=folder)
            finally:
                os.close(file)


def _is_being_created(found: os.stat_result) -> bool:
    return not found.st_size and time.time() - found.st_mtime < _CREATION_S


def _check_folder(found: os.stat_result, folder: Path) -> None:
    if found.st_uid != os.geteuid() or found.st_mode & _OTHERS:
        raise SharedMemoryUnavailable(f"{folder} must belong to this service's user, with mode 0700: remove it")
    if not _is_on_tmpfs(found):
        raise SharedMemoryUnavailable(f"{folder} must be on a tmpfs, such as /dev/shm")


def _is_on_tmpfs(found: os.stat_result) -> bool:
    """Whether the mount of this device is a tmpfs (proc_pid_mountinfo(5): field 3, and field 1 after the hyphen)."""
    device = f"{os.major(found.st_dev)}:{os.minor(found.st_dev)}"
    mounts = (line.partition(" - ") for line in _MOUNTS.read_text().splitlines())
    return any(before.split()[2] == device and after.split()[0] == "tmpfs" for before, _, after in mounts)

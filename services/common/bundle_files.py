"""Reads the files of a bundle's folder: regular files only, of bounded size, without following symbolic links.

Every file is opened by its name inside an open folder (`openat`), so that no path leaves the bundle, even if somebody
replaces a folder by a link meanwhile. The bundle's own folder may be a link, such as `current`.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

CARD_NAME: Final = "card.json"
SIGNATURE_NAME: Final = "card.json.sig"
ADDENDA_NAME: Final = "addenda"  # a folder that the card does not list: see `addenda.py`
MAX_CARD_BYTES: Final = 4 * 1024**2  # the default bundle's card has 53 kB
MAX_BUNDLE_BYTES: Final = 8 * 1024**3
_MAX_DEPTH: Final = 16  # a SavedModel has 4 levels
_CHUNK_BYTES: Final = 1024**2
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Copies = Callable[[str], BinaryIO | None]
"""Opens the file that gets a copy of a bundle's file, by its name; None where no copy is wanted."""


class BundleFault(Exception):
    """The message names the file, the fault and the remedy; `open_bundle` adds the folder."""


@contextmanager
def open_folder(folder: Path) -> Iterator[int]:
    """The descriptor of a bundle's folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_addenda(bundle: Path) -> Iterator[tuple[int, list[str]]]:
    """The descriptor of a bundle's folder of addenda, and the names in it, sorted; no names without the folder.

    Raises
    ------
    BundleFault
        it is no folder, but a link or a file
    """
    with open_folder(bundle) as folder:
        found = {entry.name: entry for entry in _entries(folder)}.get(ADDENDA_NAME)
        if found is None:
            yield folder, []
            return
        if not found.is_dir(follow_symlinks=False):
            raise BundleFault(f"{ADDENDA_NAME!r} is no folder; put the addenda into a folder of this name")
        with _open_inner(folder, ADDENDA_NAME) as inner:
            yield inner, [entry.name for entry in _entries(inner)]


def read_file(folder: int, name: str, max_bytes: int) -> bytes:
    """The content of a file beside the card.

    Raises
    ------
    BundleFault
        it is no regular file, or larger than `max_bytes`
    OSError
        it is missing or unreadable
    """
    with _open_regular(folder, name, name) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise BundleFault(f"{name} has more than {max_bytes} bytes; copy the bundle again")
    return content


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a bundle except the card, its signature and addenda, by its path inside the bundle."""
    with open_folder(folder) as descriptor:
        return digest_files(descriptor)


def digest_files(folder: int, listed: Collection[str] | None = None, copies: Copies | None = None) -> dict[str, str]:
    """SHA-256 of every file, as `hash_files`; the copied bytes are the hashed bytes.

    Parameters
    ----------
    listed : the only names that may occur; None allows all

    Raises
    ------
    BundleFault
        a file is no regular file or not listed, folders are nested too deeply, or the bundle is too large
    OSError
        a file is unreadable, or a copy cannot be written
    """
    found, left = {}, MAX_BUNDLE_BYTES
    for name, file in _walk(folder):
        if listed is not None and name not in listed:
            raise BundleFault(f"{CARD_NAME} does not list {name!r}; remove the file, or copy the bundle again")
        found[name], size = _digest(file, copies(name) if copies else None, left)
        left -= size
    return found


def _digest(file: BinaryIO, copy: BinaryIO | None, max_bytes: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    too_large = os.fstat(file.fileno()).st_size > max_bytes
    try:
        while not too_large and (chunk := file.read(_CHUNK_BYTES)):
            size += len(chunk)
            too_large = size > max_bytes  # it grows
            digest.update(chunk)
            if copy:
                copy.write(chunk)
    finally:
        if copy:
            copy.close()
    if too_large:
        raise BundleFault(f"the bundle has more than {MAX_BUNDLE_BYTES} bytes; copy it again")
    return digest.hexdigest(), size


def _walk(folder: int, prefix: str = "", depth: int = 1) -> Iterator[tuple[str, BinaryIO]]:
    """Every file of a folder and of those below it, open, in the order of their names."""
    if depth > _MAX_DEPTH:
        raise BundleFault(f"folders are nested more than {_MAX_DEPTH} deep; copy the bundle again")
    for entry in _entries(folder):
        name = f"{prefix}{entry.name}"
        if name == ADDENDA_NAME and entry.is_dir(follow_symlinks=False):
            continue
        if entry.is_dir(follow_symlinks=False):
            with _open_inner(folder, entry.name) as inner:
                yield from _walk(inner, f"{name}/", depth + 1)
        elif name not in (CARD_NAME, SIGNATURE_NAME):
            with _open_regular(folder, entry.name, name) as file:
                yield name, file


def _entries(folder: int) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


@contextmanager
def _open_inner(folder: int, name: str) -> Iterator[int]:
    descriptor = os.open(name, _READ | os.O_DIRECTORY, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_regular(folder: int, name: str, path: str) -> BinaryIO:
    """Open a regular file; anything else is not opened, since opening a device may act on it."""
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise _not_regular(path)
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _not_regular(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # swapped meanwhile
        os.close(descriptor)
        raise _not_regular(path)
    return os.fdopen(descriptor, "rb")


def _not_regular(path: str) -> BundleFault:
    return BundleFault(f"{path!r} is a symbolic link or no regular file; put a copy of the file in its place")

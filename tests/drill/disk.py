"""A small file system that can be filled."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_BLOCKS_BYTES: Final = (1 << 20, 1 << 12)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """A tmpfs of this size at a folder, for the time of the context; False, with a plain folder, without root."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "ich-drill", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)
        shutil.rmtree(folder)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Fill the file system for the time of the context."""
    fill = folder / "fill"
    try:
        with fill.open("wb", buffering=0) as file:
            for block_bytes in _BLOCKS_BYTES:
                _write_until_full(file.fileno(), bytes(block_bytes))
        yield
    finally:
        fill.unlink()


def _write_until_full(handle: int, block: bytes) -> None:
    try:
        while os.write(handle, block):
            pass
    except OSError:
        return

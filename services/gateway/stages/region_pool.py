"""Shared memory regions of this process: created when needed, leased to one chunk of slices at a time.

A region serves another chunk only after both stages have answered the one before. After a failure, a time-out or a
cancelled request, a stage may still write into it. Such a region is never used again: its file is removed, and a late
write reaches memory that nobody reads.

Tracebacks of such requests may keep objects alive for long. So the end of a lease releases all views of the region, and
a region counts until its memory has been unmapped.
"""

import fcntl
import logging
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Final
from weakref import WeakSet

from services.common.shared_memory import (
    SharedMemoryUnavailable,
    create_region,
    map_region,
    remove_abandoned,
    shared_folder,
)
from services.common.shared_ranges import SharedRange
from services.common.tensors import Buffer, FilePart

log = logging.getLogger(__name__)

SLICE_BYTES: Final = 512 * 512 * 3
_BYTES_FOR_EACH_SLICE: Final = 1536 * 1024  # its pixels, and its file of 512 x 512 in 16 bits
_RETRY_S: Final = 60.0


class Region:
    """A file of the folder in memory. `stages` are the names of the stages that know it as `name`."""

    def __init__(self, folder: Path, size: int) -> None:
        self.name, self.key, self.size = secrets.token_hex(16), secrets.token_hex(16), size
        self.stages: set[str] = set()
        self._folder = folder
        with shared_folder(folder) as opened:
            self._file = create_region(opened, self.key, size)
        try:
            self._memory = map_region(self._file, size)
        except SharedMemoryUnavailable:
            self._remove_file()
            raise
        self._views: list[memoryview] = []

    @property
    def mapping(self) -> object:
        """The object that unmaps the memory when no view is left."""
        return self._memory.obj

    @property
    def whole(self) -> bool:
        """Whether the file has its full length. Access to the memory of a shorter one ends the process (SIGBUS)."""
        return os.fstat(self._file).st_size >= self.size

    def range(self, start: int, size: int) -> SharedRange:
        """Name bytes of this region."""
        return SharedRange(self.name, start, size)

    def view(self, start: int, size: int) -> memoryview:
        """Bytes of this region, until the lease ends."""
        self._views.append(self._memory[start : start + size])
        return self._views[-1]

    def release_views(self) -> None:
        """Release all views: an access to one is a ValueError from now on."""
        while self._views:
            _release(self._views.pop())

    def write(self, start: int, parts: Sequence[Buffer | FilePart]) -> None:
        """Write parts one after the other; OSError where a file is shorter than its part."""
        for part in parts:
            with self._memory[start : start + len(part)] as target:
                if isinstance(part, FilePart):
                    _read_into(part, target)
                else:
                    target[:] = part
            start += len(part)

    def close(self) -> None:
        """Remove the file, and unlock it: stages drop the region. Its memory remains while a stage uses it."""
        self.release_views()
        _release(self._memory)
        self._remove_file()

    def _remove_file(self) -> None:
        with suppress(OSError):
            (self._folder / self.key).unlink()
        fcntl.flock(self._file, fcntl.LOCK_UN)
        os.close(self._file)


class Lease:
    """At most one region for one chunk of slices, taken from the pool when it is first needed."""

    def __init__(self, pool: "RegionPool | None") -> None:
        self._pool = pool
        self._region: Region | None = None
        self._clean = True

    def region(self) -> Region | None:
        """The region; None where there is none, and tensors travel in HTTP bodies."""
        if self._region is None and self._pool is not None:
            self._region = self._pool.take()
        return self._region

    @property
    def possible(self) -> bool:
        """Whether there may be a region."""
        return self._pool is not None

    def taint(self) -> None:
        """A stage may still use the region after this request: never lease it again."""
        self._clean = False

    def refuse(self) -> None:
        """A stage could not open the region: its file may be gone, and those of the other regions too."""
        if self._pool is not None:
            self._pool.retire()

    def replace(self) -> None:
        """Take another region for the next attempt: a stage may still write into this one."""
        self.taint()
        self.end()
        self._clean = True

    def end(self) -> None:
        """Return the region to the pool, or destroy it."""
        region, self._region = self._region, None
        if region is not None and self._pool is not None:
            self._pool.give_back(region, clean=self._clean)


class RegionPool:
    """The regions of one process. Tensors travel in HTTP bodies where all are leased, or none can be created."""

    def __init__(self, folder: Path, max_bytes: int, chunk_slices: int) -> None:
        self._folder = folder
        self._size = chunk_slices * _BYTES_FOR_EACH_SLICE
        self._max_regions = max_bytes // self._size
        self._free: list[Region] = []
        self._in_use: set[Region] = set()
        self._mapped: WeakSet[object] = WeakSet()  # with those of removed regions
        self._retired: set[Region] = set()
        self._next_attempt = 0.0
        self._swept = self._closed = False

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """A lease, whose region is destroyed unless the context ends without an exception."""
        lease = Lease(self)
        try:
            yield lease
        except BaseException:
            lease.taint()
            raise
        finally:
            lease.end()

    def take(self) -> Region | None:
        """A region that no stage uses."""
        region = self._take_free() or self._create()
        if region is not None:
            self._in_use.add(region)
        return region

    def give_back(self, region: Region, *, clean: bool) -> None:
        """Keep a clean region for the next lease."""
        self._in_use.discard(region)
        region.release_views()
        if clean and region not in self._retired and not self._closed:
            self._free.append(region)
        else:
            self._retired.discard(region)
            region.close()

    def retire(self) -> None:
        """Lease none of the present regions again."""
        self._retired |= self._in_use
        while self._free:
            self._free.pop().close()

    def free_regions(self) -> tuple[Region, ...]:
        """The regions that are not leased."""
        return tuple(self._free)

    def close(self) -> None:
        """Remove all files, and the folder if it is empty."""
        self._closed = True
        while self._free:
            self._free.pop().close()
        with suppress(OSError):
            self._folder.rmdir()

    def _take_free(self) -> Region | None:
        while self._free:
            region = self._free.pop()
            if region.whole:
                return region
            region.close()
        return None

    def _create(self) -> Region | None:
        if len(self._mapped) >= self._max_regions or time.monotonic() < self._next_attempt:
            return None
        try:
            self._sweep()
            region = Region(self._folder, self._size)
        except SharedMemoryUnavailable as error:
            self._next_attempt = time.monotonic() + _RETRY_S
            log.warning("slices travel over HTTP, which is slower: %s", error)
            return None
        self._mapped.add(region.mapping)
        return region

    def _sweep(self) -> None:
        if not self._swept:
            with shared_folder(self._folder) as folder:
                remove_abandoned(folder)
            self._swept = True


NO_LEASE: Final = Lease(None)


def _release(view: memoryview) -> None:
    with suppress(BufferError):  # in use; then the memory is unmapped later
        view.release()


def _read_into(part: FilePart, target: memoryview) -> None:
    with part.path.open("rb") as file:
        _fill(file, target, 0, part.gap[0])
        file.seek(part.gap[1])
        _fill(file, target, part.gap[0], len(part))


def _fill(file: BufferedReader, target: memoryview, start: int, end: int) -> None:
    with target[start:end] as view:
        read = file.readinto(view)
    if read != end - start:
        raise OSError("a file became shorter while it was sent")

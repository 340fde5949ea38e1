"""Regions that clients have registered with a stage (Triton's system shared memory extension)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

from services.common.problems import BadRequest
from services.common.shared_memory import (
    SharedMemoryUnavailable,
    allocate,
    has_owner,
    map_region,
    open_region,
    shared_folder,
)
from services.common.shared_ranges import SharedRange

EXTENSION: Final = "system_shared_memory"


class UnknownRegion(BadRequest):
    code = "unknown_region"
    title = "The shared memory region is not registered"


class RegionRefused(BadRequest):
    code = "region_refused"
    title = "The shared memory region cannot be registered"


class RegionTooSmall(BadRequest):
    code = "region_too_small"
    title = "An output does not fit the shared memory region"


@dataclass(frozen=True, slots=True)
class _Region:
    """A mapped file. `file` is open until the region is dropped; the memory until no request uses it."""

    key: str
    offset: int
    view: memoryview
    file: int

    @property
    def mapped_bytes(self) -> int:
        """The file is mapped from its begin."""
        return self.offset + len(self.view)

    @property
    def document(self) -> dict[str, Any]:
        return {"key": self.key, "offset": self.offset, "byte_size": len(self.view)}


class RegisteredRegions:
    """The regions by name, within limits; without a folder there are none. Threads may use them.

    A region whose owner has died is dropped when another one is registered.
    """

    def __init__(self, folder: Path | None, max_regions: int, max_bytes: int) -> None:
        self._folder = folder
        self._max_regions = max_regions
        self._max_bytes = max_bytes
        self._regions: dict[str, _Region] = {}
        self._lock = Lock()  # of changes

    @property
    def enabled(self) -> bool:
        """Whether regions can be registered."""
        return self._folder is not None

    def register(self, name: str, key: str, offset: int, byte_size: int) -> None:
        """Map `byte_size` bytes of the region's file from `offset` on. This takes a second for some gigabytes.

        Raises
        ------
        RegionRefused
            shared memory is off, full or at its limits; the name is taken; or there is no such file of this user
        """
        with self._lock:
            self._drop_abandoned()
            self._check_limits(name, offset + byte_size)
            try:
                self._regions[name] = self._open(key.removeprefix("/"), offset, byte_size)
            except SharedMemoryUnavailable as error:
                raise RegionRefused(f"{error}; send binary tensors") from error

    def unregister(self, name: str) -> None:
        """Drop a region. Requests in progress keep its memory."""
        with self._lock:
            self._drop(name)

    def _drop(self, name: str) -> None:
        region = self._regions.pop(name, None)
        if region:
            os.close(region.file)

    def status(self, name: str) -> dict[str, Any]:
        """The region's document, or UnknownRegion."""
        return {"name": name, **self._find(name).document}

    def view(self, shared: SharedRange) -> memoryview:
        """The bytes of a range.

        Raises
        ------
        UnknownRegion
            no such region is registered
        BadRequest
            the range exceeds the region
        """
        view = self._find(shared.region).view
        if shared.offset + shared.byte_size > len(view):
            raise BadRequest(f"the range exceeds its region of {len(view)} bytes")
        return view[shared.offset : shared.offset + shared.byte_size]

    def _find(self, name: str) -> _Region:
        if region := self._regions.get(name):
            return region
        raise UnknownRegion("the region is not registered; register it again, or send binary tensors")

    def _check_limits(self, name: str, mapped_bytes: int) -> None:
        if name in self._regions:
            raise RegionRefused("a region of this name is registered; choose another name")
        if len(self._regions) >= self._max_regions:
            raise RegionRefused(f"{self._max_regions} regions are registered, which is the limit; unregister one")
        if sum(region.mapped_bytes for region in self._regions.values()) + mapped_bytes > self._max_bytes:
            raise RegionRefused(f"regions may have {self._max_bytes} bytes; unregister one, or send binary tensors")

    def _open(self, key: str, offset: int, byte_size: int) -> _Region:
        if self._folder is None:
            raise SharedMemoryUnavailable("this service has no shared memory")
        with shared_folder(self._folder) as folder:
            file = open_region(folder, key)
        try:
            _check_size(file, offset + byte_size)
            allocate(file, offset + byte_size)
            return _Region(key, offset, map_region(file, offset + byte_size)[offset:], file)
        except BaseException:
            os.close(file)
            raise

    def _drop_abandoned(self) -> None:
        for name in list(self._abandoned()):
            self._drop(name)

    def _abandoned(self) -> Iterator[str]:
        for name, region in self._regions.items():
            if not has_owner(region.file):
                yield name


def _check_size(file: int, size: int) -> None:
    if size > os.fstat(file).st_size:
        raise SharedMemoryUnavailable("the region exceeds its file")

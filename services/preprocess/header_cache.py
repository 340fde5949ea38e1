"""Keeps the headers read last: `series` reads them, then each request for slices needs them again.

A header depends on the file's size and first bytes only. The cache holds their digest, and no bytes of a file.
"""

from collections import OrderedDict
from hashlib import sha256
from threading import Lock
from typing import Final, NamedTuple

from services.common.tensors import Buffer
from services.preprocess.dataset_reader import ReadBudget
from services.preprocess.header import DicomHeader
from services.preprocess.header_reader import TracedHeader, read_traced_header

MAX_BYTES: Final = 8 * 1024**2  # some 2,800 slices
_FRAME_BYTES, _VALUE_BYTES = 1024, 64  # of memory, for a frame and for each value of ImageType
_START_BYTES: Final = 512  # with the SOPInstanceUID of nearly all files


class _Entry(NamedTuple):
    digest: bytes
    traced: TracedHeader
    reached: int
    weight: int


class HeaderCache:
    """Headers by size and first bytes of their files; those used least recently are dropped.

    Parameters
    ----------
    max_bytes : of all headers, by their length in the files, frames and values
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._left = max_bytes
        self._entries: OrderedDict[tuple[int, bytes], _Entry] = OrderedDict()
        self._lock = Lock()

    def read(self, head: Buffer, size: int, budget: ReadBudget | None = None) -> DicomHeader:
        """The header by `read_header`, or the same one from before.

        Raises
        ------
        UnreadableFile, IncompleteHeader
            as `read_header` does; errors are not kept
        """
        data = memoryview(head)
        key = size, sha256(data[:_START_BYTES]).digest()
        kept = self._find(key, data)
        if kept and (budget is None or kept.reads <= budget.left):
            if budget:
                budget.left -= kept.reads
            return kept.header
        traced = read_traced_header(head, size, budget)
        self._keep(key, data, traced)
        return traced.header

    def _find(self, key: tuple[int, bytes], data: memoryview) -> TracedHeader | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
        same = len(data) >= entry.reached and sha256(data[: entry.reached]).digest() == entry.digest
        return entry.traced if same else None

    def _keep(self, key: tuple[int, bytes], data: memoryview, traced: TracedHeader) -> None:
        if traced.reached is None:
            return
        weight = traced.reached + sum(
            _FRAME_BYTES + _VALUE_BYTES * len(frame.image_type) for frame in traced.header.frames
        )
        entry = _Entry(sha256(data[: traced.reached]).digest(), traced, traced.reached, weight)
        with self._lock:
            if before := self._entries.pop(key, None):
                self._left += before.weight
            self._entries[key] = entry
            self._left -= weight
            while self._left < 0:
                self._left += self._entries.popitem(last=False)[1].weight

"""Limits of the parts of a multipart body: their number, their headers, and the bytes of those."""

from typing import Final

from services.common.byte_sizes import format_bytes
from services.common.problems import ContentTooLarge

MAX_HEADERS: Final = 8  # of a part
MAX_PART_HEADER_BYTES: Final = 8192  # of all headers of a part
_SPARE_PARTS: Final = 128  # fields and empty parts beside as many files as an upload may have
_PART_HEADER_BYTES: Final = 1024  # mean over all parts
_MAX_HEADER_BYTES: Final = 32 * 1024**2  # of all parts


class PartBounds:
    """Counts parts, headers and bytes of headers over all parts, with data or without: each costs time and memory."""

    def __init__(self, max_files: int) -> None:
        self._max_parts = max_files + _SPARE_PARTS
        self._max_bytes = min(self._max_parts * _PART_HEADER_BYTES, _MAX_HEADER_BYTES)
        self._parts = self._headers = self._part_bytes = self._bytes = 0

    def begin_part(self) -> None:
        """ContentTooLarge where there are too many parts."""
        self._parts += 1
        self._headers = self._part_bytes = 0
        if self._parts > self._max_parts:
            raise ContentTooLarge(f"an upload may have {self._max_parts} parts, fields and empty parts included")

    def end_header(self) -> None:
        """ContentTooLarge where the part has too many headers."""
        self._headers += 1
        if self._headers > MAX_HEADERS:
            raise ContentTooLarge(f"part {self._parts}: a part may have {MAX_HEADERS} headers")

    def add_header_bytes(self, size: int) -> None:
        """ContentTooLarge where the headers of the part, or of all parts, are too long."""
        self._part_bytes += size
        self._bytes += size
        if self._part_bytes > MAX_PART_HEADER_BYTES:
            limit = f"{MAX_PART_HEADER_BYTES // 1024} KiB of headers; shorten its file name"
            raise ContentTooLarge(f"part {self._parts}: a part may have {limit}")
        if self._bytes > self._max_bytes:
            limit = f"{format_bytes(self._max_bytes)} of headers in all its parts; shorten the file names"
            raise ContentTooLarge(f"an upload may have {limit}")

"""Bounds of one HTTP message while it is parsed: bytes and fields of its header, and the size of its chunks."""

from typing import Final

from services.common.connections.connection_problems import HeaderTooLarge
from services.common.problems import BadRequest, Problem

MAX_HEADER_BYTES: Final = 64 * 1024
_MAX_HEADER_FIELDS: Final = 100
_MANY_CHUNKS: Final = 1000
_MIN_CHUNK_BYTES: Final = 64  # mean of many chunks


class LimitExceeded(Exception):
    """Ends the parsing of a message; `problem` is its answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


class MessageLimits:
    """Counts of one message. Trailer fields count as header fields. Every method raises LimitExceeded."""

    def __init__(self) -> None:
        self._header_bytes = self._header_fields = self._chunks = self._body_bytes = 0

    def add_target(self, target: bytes) -> None:
        """Count a piece of the request's target."""
        self._add_header_bytes(len(target))

    def add_field(self, name: bytes, value: bytes) -> None:
        """Count a field."""
        self._header_fields += 1
        self._add_header_bytes(len(name) + len(value))

    def add_chunk(self) -> None:
        """Count a chunk: a tiny one costs as much time as a large one."""
        self._chunks += 1
        if self._chunks > _MANY_CHUNKS and self._body_bytes < self._chunks * _MIN_CHUNK_BYTES:
            raise LimitExceeded(BadRequest(f"the body's chunks have fewer than {_MIN_CHUNK_BYTES} bytes on average"))

    def add_body(self, body: bytes) -> None:
        """Count a piece of the body."""
        self._body_bytes += len(body)

    def _add_header_bytes(self, count: int) -> None:
        self._header_bytes += count
        if self._header_bytes > MAX_HEADER_BYTES or self._header_fields > _MAX_HEADER_FIELDS:
            raise LimitExceeded(header_too_large())


def header_too_large() -> HeaderTooLarge:
    """The refusal of a header; it names the limits."""
    return HeaderTooLarge(f"a header may have {_MAX_HEADER_FIELDS} fields and {MAX_HEADER_BYTES // 1024} KiB")

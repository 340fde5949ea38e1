"""Parses a multipart body as it arrives, within limits of its parts and their headers."""

from collections.abc import Mapping
from typing import Any, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from services.common.multipart.delimiters import Delimiters
from services.common.multipart.part_bounds import MAX_HEADERS, MAX_PART_HEADER_BYTES, PartBounds
from services.common.problems import BadRequest


class PartHandler(Protocol):
    """Takes the parts of a body one after another."""

    def begin_part(self, headers: Mapping[bytes, bytes]) -> None:
        """Begin a part; names of headers are in lower case."""

    def add_data(self, data: memoryview) -> None:
        """Take the next bytes of the part."""

    def end_part(self) -> None:
        """End the part."""


class PartParser:
    """Hands the parts of a body to a handler.

    Raises
    ------
    BadRequest
        the boundary is too long
    """

    def __init__(self, boundary: bytes, handler: PartHandler, max_files: int) -> None:
        self._handler = handler
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._bounds, self._delimiters = PartBounds(max_files), Delimiters(boundary)
        try:
            self._parser = MultipartParser(
                boundary, self._callbacks(), max_header_count=MAX_HEADERS + 1, max_header_size=MAX_PART_HEADER_BYTES
            )
        except FormParserError as error:
            raise BadRequest("the boundary of the multipart body is too long") from error

    def _callbacks(self) -> Any:
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": lambda: self._handler.begin_part(self._headers),
            "on_part_data": lambda data, start, end: self._handler.add_data(memoryview(data)[start:end]),
            "on_part_end": self._handler.end_part,
            "on_end": self._delimiters.end,
        }

    def write(self, piece: bytes) -> None:
        """Parse the next piece of the body.

        Raises
        ------
        BadRequest
            the body is malformed
        ContentTooLarge
            it has too many parts or headers, or too long ones
        """
        self._delimiters.check_begin(piece)
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise BadRequest("the multipart body is broken, or a header of a part exceeds 8 KiB") from error
        self._delimiters.check_end(piece)

    def check_complete(self) -> None:
        """BadRequest where the last delimiter has not come."""
        if not self._delimiters.ended:
            raise BadRequest("the multipart body ends too early")

    def _on_part_begin(self) -> None:
        self._headers.clear()
        self._bounds.begin_part()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._bounds.add_header_bytes(end - start)
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._bounds.add_header_bytes(end - start)
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._bounds.end_header()
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

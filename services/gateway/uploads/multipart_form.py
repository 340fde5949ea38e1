"""Parses a multipart body as it arrives: each part with data becomes a file of the spool, or is refused."""

from pathlib import Path
from typing import Any, BinaryIO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from services.common.problems import BadRequest, ContentTooLarge, Problem, UnsupportedMediaType
from services.gateway.uploads.archives import Limits
from services.gateway.uploads.part_bounds import MAX_HEADERS, MAX_PART_HEADER_BYTES, PartBounds
from services.gateway.uploads.part_headers import PartHeaders, parse_part_headers
from services.gateway.uploads.spool import SpoolFolder, UploadedFile
from services.gateway.uploads.upload_problems import RefusedFile, refused_files

FORM_FIELD: Final = "files"
_BLANK: Final = b" \t\r\n"
_MAX_REFUSED: Final = 100  # parts may be tiny, and nobody reads a list of thousands


class NoFiles(BadRequest):
    code = "no_files"
    title = "No file was sent"


class UnknownField(BadRequest):
    code = "unknown_field"
    title = "Unknown form field"


class UnsupportedEncoding(UnsupportedMediaType):
    code = "unsupported_encoding"
    title = "This encoding is not accepted"

    def headers(self) -> dict[str, str]:
        """The accepted content codings (RFC 9110, section 15.5.16)."""
        return {**super().headers(), "accept-encoding": "identity"}


class MultipartForm:
    """Writes each file of a multipart body to the spool. `name` is the name of the latest file.

    A file is a part of any field with a `filename` or `filename*`, or a part of the field `files`; without a name it
    gets its number. Other parts are refused if they have data.
    """

    def __init__(self, boundary: bytes, folder: SpoolFolder, limits: Limits) -> None:
        self.files: list[UploadedFile] = []
        self.name = ""
        self._folder = folder
        self._limits = limits
        self._refused: list[RefusedFile] = []
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._head = PartHeaders()
        self._number = 0
        self._file: BinaryIO | None = None
        self._skipped = False
        self._bounds = PartBounds(limits.max_files)
        self._delimiters = _Delimiters(boundary)
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
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._delimiters.end,
        }

    def write(self, piece: bytes) -> None:
        """Parse the next piece of the body."""
        self._delimiters.check_begin(piece)
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise BadRequest("the multipart body is broken, or a header of a part exceeds 8 KiB") from error
        self._delimiters.check_end(piece)

    def finish(self) -> None:
        """Check that the body is complete and has a file and no refused part."""
        if not self._delimiters.ended:
            raise BadRequest("the multipart body ends too early")
        if self._refused:
            raise self._refusal()
        if not self.files:
            raise NoFiles(f"choose at least one DICOM, PNG or zip file for the form field {FORM_FIELD!r}")

    def close(self) -> None:
        """Close a file that an error left open."""
        if self._file:
            self._file.close()

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

    def _on_headers_finished(self) -> None:
        self._number += 1
        self._skipped = False
        self._head = parse_part_headers(self._headers)
        if self._head.filename:
            self._begin()

    def _begin(self) -> None:
        """Open a file for a part with a name or data, or refuse the part."""
        name = self._head.filename or f"part {self._number}"
        if code_and_reason := _why_refused(self._head):
            self._skipped = True
            self._refused.append(RefusedFile(name, *code_and_reason))
            if len(self._refused) >= _MAX_REFUSED:
                raise self._refusal()
            return
        if len(self.files) >= self._limits.max_files:
            raise ContentTooLarge(f"an upload may have {self._limits.max_files} files, and this one has more")
        self.name, self._file = name, self._folder.create()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if not (self._file or self._skipped):
            self._begin()
        if self._file:
            self._file.write(memoryview(data)[start:end])

    def _on_part_end(self) -> None:
        if self._file:
            size = self._file.tell()
            self._file.close()
            self.files.append(UploadedFile(self.name, Path(self._file.name), size))
            self._file = None

    def _refusal(self) -> Problem:
        encoded = any(part.code == UnsupportedEncoding.code for part in self._refused)
        kind = UnsupportedEncoding if encoded else UnknownField
        return refused_files(kind, self._refused)


class _Delimiters:
    """Refuses a preamble and an epilogue (RFC 2046, section 5.1.1): their data would be lost."""

    def __init__(self, boundary: bytes) -> None:
        self.ended = False
        self._begun = self._checked = False
        self._last = b"\r\n--" + boundary + b"--"
        self._tail = b""

    def end(self) -> None:
        self.ended = True

    def check_begin(self, piece: bytes) -> None:
        """Check before a piece is parsed, since the parser skips a preamble."""
        if self._begun or not (first := piece.lstrip(b"\r\n")[:1]):
            return
        self._begun = True
        if first != b"-":
            raise BadRequest("the multipart body does not begin with its boundary")

    def check_end(self, piece: bytes) -> None:
        """Check after a piece is parsed, since the parser skips an epilogue."""
        if self._checked:
            behind = piece
        elif self.ended:
            self._checked = True
            _, _, behind = (self._tail + piece).partition(self._last)
        else:
            self._tail = (self._tail + piece[-len(self._last) :])[-len(self._last) :]
            return
        if behind.strip(_BLANK):
            raise BadRequest("data follow the last boundary of the multipart body; send all files in one body")


def _why_refused(head: PartHeaders) -> tuple[str, str] | None:
    """The code and reason of a part that is no file; None for a file."""
    if head.encoding:
        return UnsupportedEncoding.code, f"{head.encoding} is not supported; send the file unencoded"
    if head.filename is None and head.field != FORM_FIELD:
        where = f"the form field {head.field!r} is" if head.field else "a part without a field name is"
        return UnknownField.code, f"{where} unknown; send files as {FORM_FIELD!r}, and options in the query string"
    return None

"""Parses a multipart body as it arrives: each part with data becomes a file of the spool, or is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from services.common.multipart.part_parser import PartParser
from services.common.problems import BadRequest, ContentTooLarge, Problem, UnsupportedMediaType
from services.gateway.uploads.archives import Limits
from services.gateway.uploads.part_headers import PartHeaders, parse_part_headers
from services.gateway.uploads.spool import SpoolFolder, UploadedFile
from services.gateway.uploads.upload_problems import RefusedFile, refused_files

FORM_FIELD: Final = "files"
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
        self._head = PartHeaders()
        self._number = 0
        self._file: BinaryIO | None = None
        self._skipped = False
        self._parser = PartParser(boundary, self, limits.max_files)

    def write(self, piece: bytes) -> None:
        """Parse the next piece of the body."""
        self._parser.write(piece)

    def finish(self) -> None:
        """Check that the body is complete and has a file and no refused part."""
        self._parser.check_complete()
        if self._refused:
            raise self._refusal()
        if not self.files:
            raise NoFiles(f"choose at least one DICOM, PNG or zip file for the form field {FORM_FIELD!r}")

    def close(self) -> None:
        """Close a file that an error left open."""
        if self._file:
            self._file.close()

    def begin_part(self, headers: Mapping[bytes, bytes]) -> None:
        """Begin a file where the part has a name."""
        self._number += 1
        self._skipped = False
        self._head = parse_part_headers(headers)
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

    def add_data(self, data: memoryview) -> None:
        """Write data of a file."""
        if not (self._file or self._skipped):
            self._begin()
        if self._file:
            self._file.write(data)

    def end_part(self) -> None:
        """Close the part's file."""
        if self._file:
            size = self._file.tell()
            self._file.close()
            self.files.append(UploadedFile(self.name, Path(self._file.name), size))
            self._file = None

    def _refusal(self) -> Problem:
        encoded = any(part.code == UnsupportedEncoding.code for part in self._refused)
        kind = UnsupportedEncoding if encoded else UnknownField
        return refused_files(kind, self._refused)


def _why_refused(head: PartHeaders) -> tuple[str, str] | None:
    """The code and reason of a part that is no file; None for a file."""
    if head.encoding:
        return UnsupportedEncoding.code, f"{head.encoding} is not supported; send the file unencoded"
    if head.filename is None and head.field != FORM_FIELD:
        where = f"the form field {head.field!r} is" if head.field else "a part without a field name is"
        return UnknownField.code, f"{where} unknown; send files as {FORM_FIELD!r}, and options in the query string"
    return None

"""Multipart uploads, streamed to the spool: never more than a piece of one in memory."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

from anyio import to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from services.common.problems import MalformedRequest, PayloadTooLarge, UnsupportedMedia
from services.gateway.archives import Limits, is_archive, unpack
from services.gateway.spool import SpoolFolder, UploadedFile, full_disk_told

FORM_FIELD = "files"
_LARGE_SLICE_BYTES = 600_000  # 512 x 512 of 16 bits, with a long header
_PIECE_BYTES = 1 << 20


class NoFiles(MalformedRequest):
    code = "no_files"
    title = "No file was sent"


async def receive(request: Request, folder: SpoolFolder, limits: Limits) -> list[UploadedFile]:
    """The files of a multipart request, archives unpacked, in the order sent.

    Raises
    ------
    UnsupportedMedia
        the request is not multipart.
    MalformedRequest
        the multipart body is broken, or holds no file.
    PayloadTooLarge
        more bytes or files than the limits allow, packed or unpacked.
    BadArchive
        a zip is damaged or encrypted.
    SpoolFull
        the disk has no room.
    """
    boundary = _boundary(request)
    with full_disk_told("uploads"):
        files = await _spool(request, _Form(boundary, folder, limits), limits)
        return await to_thread.run_sync(_unpack_all, files, folder, limits)


async def _spool(request: Request, form: "_Form", limits: Limits) -> list[UploadedFile]:
    announced = _announced_bytes(request)
    received = 0
    try:
        async for piece in _pieces(request):
            received += len(piece)
            await to_thread.run_sync(form.write, piece)
            if max(received, announced) > limits.max_bytes:
                raise _too_many_bytes(form.name, limits)
        form.finish()
    finally:
        form.close()
    return form.files


def slices_at_least(request: Request) -> int:
    """How many slices an upload holds at least, by its announced length; compressed ones are more."""
    return max(_announced_bytes(request) // _LARGE_SLICE_BYTES, 1)


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise UnsupportedMedia(f"send multipart/form-data, with the files in the field {FORM_FIELD!r}")
    return options[b"boundary"]


def _announced_bytes(request: Request) -> int:
    announced = request.headers.get("content-length", "")
    return int(announced) if announced.isascii() and announced.isdigit() else 0


def _too_many_bytes(name: str, limits: Limits) -> PayloadTooLarge:
    """Names the file that was being received; it may be the first of many."""
    reason = f"an upload may hold {limits.max_bytes / 2**30:.3g} GiB, and this one holds more"
    files = [{"file": name, "code": PayloadTooLarge.code, "reason": reason}] if name else []
    return PayloadTooLarge(f"{name}: {reason}." if name else reason, limit_bytes=limits.max_bytes, files=files)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces of about a megabyte, so that few thread hops are paid."""
    gathered = bytearray()
    async for piece in request.stream():
        gathered += piece
        if len(gathered) >= _PIECE_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


class _Form:
    """Writes each file part of a multipart body to the spool as it comes. `name` is that of the latest file."""

    def __init__(self, boundary: bytes, folder: SpoolFolder, limits: Limits) -> None:
        self.files: list[UploadedFile] = []
        self._folder = folder
        self._limits = limits
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._file: BinaryIO | None = None
        self.name = ""
        self._ended = False
        self._parser = MultipartParser(boundary, self._callbacks())

    def _callbacks(self) -> Any:
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def write(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise MalformedRequest("the multipart body is broken") from error

    def finish(self) -> None:
        """Make sure that the body was whole and held a file."""
        if not self._ended:
            raise MalformedRequest("the multipart body ends too early")
        if not self.files:
            raise NoFiles(f"choose at least one DICOM, PNG or zip file for the form field {FORM_FIELD!r}")

    def close(self) -> None:
        """Close a file that was left open by a fault."""
        if self._file:
            self._file.close()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"filename", b"").decode("utf-8", "replace")
        if not name:
            return
        if len(self.files) >= self._limits.max_files:
            raise PayloadTooLarge(f"an upload may hold {self._limits.max_files} files")
        self.name, self._file = name, self._folder.create()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file:
            self._file.write(memoryview(data)[start:end])

    def _on_part_end(self) -> None:
        if self._file:
            size = self._file.tell()
            self._file.close()
            self.files.append(UploadedFile(self.name, Path(self._file.name), size))
            self._file = None

    def _on_end(self) -> None:
        self._ended = True


def _unpack_all(files: list[UploadedFile], folder: SpoolFolder, limits: Limits) -> list[UploadedFile]:
    """Replace every archive by what is in it."""
    found: list[UploadedFile] = []
    for file in files:
        found += unpack(file, folder, limits.less(found)) if is_archive(file.path) else [file]
    if not found:
        raise NoFiles("the archive holds no file")
    return found

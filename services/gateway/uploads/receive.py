"""Receives multipart uploads: streams them to the spool, in pieces, and unpacks archives."""

from contextlib import AbstractAsyncContextManager, nullcontext

from anyio import to_thread
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from services.common.byte_sizes import format_bytes
from services.common.content_coding import is_identity_coding
from services.common.multipart.body_writer import BodyWriter, body_pieces
from services.common.problems import ContentTooLarge, UnsupportedMediaType
from services.common.request_body import content_length
from services.gateway.uploads.archive_formats import archive_format
from services.gateway.uploads.archives import Limits
from services.gateway.uploads.multipart_form import FORM_FIELD, MultipartForm, NoFiles, UnsupportedEncoding
from services.gateway.uploads.spool import SpoolFolder, UploadedFile, full_disk_as_problem
from services.gateway.uploads.unpacking import unpack_all


async def receive(
    request: Request,
    folder: SpoolFolder,
    limits: Limits,
    unpacking: AbstractAsyncContextManager[None] = nullcontext(),  # noqa: B008 - it has no state
) -> list[UploadedFile]:
    """The files of a multipart request in the order sent, with archives unpacked in the context `unpacking`.

    An upload without an archive never enters that context.

    Raises
    ------
    UnsupportedMediaType
        the request is not multipart, or it or a part of it is encoded
    BadRequest
        the multipart body is malformed, or has no file, or a part that is no file
    ContentTooLarge
        the files exceed the limits, packed or unpacked
    BadArchive, UnsupportedArchive
        a zip is damaged or encrypted, or an archive has another format
    SpoolFull
        the disk is full
    """
    _check_coding(request)
    boundary = _boundary(request)
    with full_disk_as_problem("uploads"):
        files = await _spool(request, MultipartForm(boundary, folder, limits), limits)
        if not await to_thread.run_sync(_has_archive, files):
            return files
        async with unpacking:
            return await to_thread.run_sync(_unpack, files, folder, limits)


async def _spool(request: Request, form: MultipartForm, limits: Limits) -> list[UploadedFile]:
    announced = content_length(request)
    received, writer = 0, BodyWriter(form)
    try:
        async for piece in body_pieces(request):
            received += len(piece)
            await writer.write(piece)
            if max(received, announced) > limits.max_bytes:
                await writer.flush()
                raise _too_many_bytes(form.name, limits)
        await writer.flush()
        form.finish()
    finally:
        await writer.close()
    return form.files


def _check_coding(request: Request) -> None:
    coding = ", ".join(request.headers.getlist("content-encoding"))
    if not is_identity_coding(coding):
        raise UnsupportedEncoding(f"the body has Content-Encoding {coding}; send it without a content encoding")


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise UnsupportedMediaType(f"send multipart/form-data, with the files in the field {FORM_FIELD!r}")
    return options[b"boundary"]


def _too_many_bytes(name: str, limits: Limits) -> ContentTooLarge:
    """Names the file that was being received, which may be the first of many."""
    reason = f"an upload may have {format_bytes(limits.max_bytes)}, and this one has more"
    files = [{"file": name, "code": ContentTooLarge.code, "reason": reason}] if name else []
    return ContentTooLarge(f"{name}: {reason}." if name else reason, limit_bytes=limits.max_bytes, files=files)


def _has_archive(files: list[UploadedFile]) -> bool:
    return any(archive_format(file.path, file.name) for file in files)


def _unpack(files: list[UploadedFile], folder: SpoolFolder, limits: Limits) -> list[UploadedFile]:
    if found := unpack_all(files, folder, limits):
        return found
    raise NoFiles("the archive holds no file")

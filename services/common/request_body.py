"""Reads the body of a request within a limit."""

from starlette.requests import Request

from services.common.problems import ContentTooLarge, UnsupportedMediaType


async def read_body(request: Request, limit_bytes: int) -> bytearray:
    """The whole body, allocated once where Content-Length states its length.

    Raises
    ------
    UnsupportedMediaType
        the body is compressed
    ContentTooLarge
        the body exceeds `limit_bytes`
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType("the request body is compressed; send it without Content-Encoding")
    size = content_length(request)
    if size > limit_bytes:
        raise ContentTooLarge(f"the request body exceeds {limit_bytes} bytes")
    body, filled = bytearray(size), 0
    async for piece in request.stream():
        if filled + len(piece) > limit_bytes:
            raise ContentTooLarge(f"the request body exceeds {limit_bytes} bytes")
        body[filled : filled + len(piece)] = piece
        filled += len(piece)
    return body


def content_length(request: Request) -> int:
    """Content-Length; 0 where it is absent or invalid."""
    stated = request.headers.get("content-length", "")
    return int(stated) if stated.isascii() and stated.isdigit() else 0

"""Bodies of requests to stages, and of their responses, without needless copies."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final, cast

import httpx

from services.common.tensors import Buffer, FilePart

_PIECE_BYTES: Final = 1 << 20
_VIEW_BYTES: Final = 1 << 22  # each costs the same time in httpx, and a copy of its bytes


async def stream_parts(parts: Sequence[Buffer | FilePart]) -> AsyncIterator[bytes]:
    """All parts: small ones gathered into pieces, large ones in memory as views, which are sent without a copy."""
    gathered, size = list[Buffer](), 0
    for piece in _pieces(parts):
        if isinstance(piece, memoryview):
            yield b"".join(gathered)
            yield cast("bytes", piece)  # h11 takes its length, and joins it
            gathered, size = [], 0
            continue
        gathered.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)


def _pieces(parts: Sequence[Buffer | FilePart]) -> Iterator[Buffer]:
    """Files in pieces, large parts in memory as views, and other parts whole."""
    for part in parts:
        if isinstance(part, FilePart):
            yield from part.pieces(_PIECE_BYTES)
        elif len(part) < _PIECE_BYTES:
            yield bytes(part)
        else:
            view = memoryview(part)
            yield from (view[at : at + _VIEW_BYTES] for at in range(0, len(view), _VIEW_BYTES))


async def read_body(response: httpx.Response) -> bytearray:
    """The body, in memory that is allocated once."""
    body, filled = bytearray(int(response.headers.get("content-length", 0))), 0
    async for piece in response.aiter_raw():
        body[filled : filled + len(piece)] = piece
        filled += len(piece)
    return body

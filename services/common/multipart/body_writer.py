"""Passes a body to a parser in a thread, in pieces."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Protocol

from anyio import to_thread
from starlette.requests import Request

_PIECE_BYTES: Final = 1 << 20


class PieceParser(Protocol):
    """Parses a body as it arrives."""

    def write(self, piece: bytes) -> None:
        """Parse the next piece."""

    def close(self) -> None:
        """Release what an error left open."""


class BodyWriter:
    """Writes each piece to a parser in a thread, while the next one is received."""

    def __init__(self, parser: PieceParser) -> None:
        self._parser = parser
        self._pending: asyncio.Task[None] | None = None

    async def write(self, piece: bytes) -> None:
        """Begin to write; raises as the piece before."""
        await self.flush()
        self._pending = asyncio.create_task(to_thread.run_sync(self._parser.write, piece))

    async def flush(self) -> None:
        """Wait until all is written; raises as the last piece."""
        if self._pending:
            await asyncio.shield(self._pending)  # a thread continues writing after a cancellation
            self._pending = None

    async def close(self) -> None:
        """Close the parser, after the write in progress."""
        if self._pending:
            await asyncio.gather(self._pending, return_exceptions=True)
        self._parser.close()


async def body_pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces of about 1 MB, so that few pieces are passed to threads."""
    gathered = bytearray()
    async for piece in request.stream():
        gathered += piece
        if len(gathered) >= _PIECE_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)

"""Uploads in progress: how many, and how many bytes on disk, of each client and in all."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Final

from starlette.requests import Request
from starlette.types import Message

from services.common.problems import Overloaded, Problem
from services.gateway.settings import Settings
from services.gateway.shares.fair_limiter import FairLimiter
from services.gateway.shares.fair_shares import Client, FairShares
from services.gateway.uploads.archives import Limits
from services.gateway.uploads.receive import receive
from services.gateway.uploads.spool import SpoolFolder, SpoolFull, UploadedFile

_COUNT_WEIGHT: Final = 2
_BYTES_WEIGHT: Final = 8  # a client alone may fill eight ninths of the free disk
_UNPACKING: Final = 4  # uploads that are unpacked at the same time, out of 40 threads of the process
_STORING: Final = 4  # jobs that are stored at the same time; each one takes several threads
_TURNS_WEIGHT: Final = 1  # a client alone may have half of these turns, and the last one is a newcomer's
_RETRY_AFTER_S: Final = 5


class TooManyUploads(Problem):
    status = 429
    code = "too_many_uploads"
    title = "This client has too many uploads in progress"
    retry_after_s = _RETRY_AFTER_S


class Uploads:
    """The uploads in progress of this process."""

    def __init__(self, settings: Settings) -> None:
        self.count = FairShares(settings.max_uploads, _COUNT_WEIGHT, settings.max_uploads_per_client)
        self.bytes = FairShares(settings.max_uploads_bytes, _BYTES_WEIGHT)
        self.unpacking = FairLimiter(_UNPACKING, _TURNS_WEIGHT)
        self.storing = FairLimiter(_STORING, _TURNS_WEIGHT)

    @contextmanager
    def begin(self, client: Client) -> Iterator["Upload"]:
        """One upload, until its files are removed or stored at the end of the context.

        Raises
        ------
        TooManyUploads
            the client's share has no room for one more
        Overloaded
            no client has
        """
        if not self.count.has_room(1):
            raise _overloaded(f"{self.count.used} uploads are in progress")
        if not self.count.fits(client, 1):
            detail = f"{self.count.held(client)} are in progress; send the next one when one of them is answered"
            raise TooManyUploads(detail)
        upload = Upload(self, client)
        self.count.add(client, 1)
        try:
            yield upload
        finally:
            upload.end()


class Upload:
    """One upload of a client."""

    def __init__(self, uploads: Uploads, client: Client) -> None:
        self._uploads = uploads
        self._client = client
        self._receiving = True
        self._bytes = 0

    async def receive(
        self, request: Request, folder: SpoolFolder, limits: Limits, received: Callable[[int], None] = lambda _: None
    ) -> list[UploadedFile]:
        """The files of a request, as `uploads.receive` returns them.

        Parameters
        ----------
        received
            gets the number of bytes received so far; it may refuse the upload

        Raises
        ------
        TooManyUploads, SpoolFull
            the client's share of the bytes, or of the free disk, has no room for the files
        Problem
            as `uploads.receive` raises
        """

        async def metered() -> Message:
            message = await request.receive()
            self._hold(len(message.get("body", b"")), shutil.disk_usage(folder.path).free)
            received(self._bytes)
            return message

        unpacking = self._uploads.unpacking.acquire(1, self._client)
        files = await receive(Request(request.scope, metered), folder, limits, unpacking)
        self._hold(max(sum(file.size for file in files) - self._bytes, 0))
        self._end_receiving()
        return files

    def storing(self) -> AbstractAsyncContextManager[None]:
        """The client's turn to store the files of a job."""
        return self._uploads.storing.acquire(1, self._client)

    def end(self) -> None:
        """Give back all that the upload holds."""
        self._end_receiving()
        self._uploads.bytes.add(self._client, -self._bytes)
        self._bytes = 0

    def _end_receiving(self) -> None:
        if self._receiving:
            self._receiving = False
            self._uploads.count.add(self._client, -1)

    def _hold(self, more: int, free_disk: int | None = None) -> None:
        """Count more bytes on disk; those that are yet to be written must leave others a part of the free disk."""
        held = self._uploads.bytes
        if not more:
            return
        if not held.has_room(more):
            raise _overloaded(f"uploads in progress have {_gib(held.used)} on disk")
        if not held.fits(self._client, more):
            detail = f"they have {_gib(held.held(self._client))} on disk, and the rest is kept for other clients"
            raise TooManyUploads(f"{detail}; send the next one when one of them is answered")
        if not held.fits(self._client, more, free_disk):
            raise SpoolFull("the rest of the disk of the uploads is kept for other clients; nothing was accepted")
        held.add(self._client, more)
        self._bytes += more


def _overloaded(reason: str) -> Overloaded:
    return Overloaded(f"{reason}; send the request again later", retry_after_s=_RETRY_AFTER_S)


def _gib(count: int) -> str:
    return f"{count / 2**30:.3g} GiB"

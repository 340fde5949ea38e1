"""Uploads in progress: how many, and how many bytes on disk, of each client and in all."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Final

from anyio import CancelScope
from starlette.requests import Request
from starlette.types import Message

from services.common.byte_sizes import format_bytes
from services.common.clients import Client
from services.common.problems import Overloaded, Problem
from services.gateway.settings import Settings
from services.gateway.shares.fair_limiter import FairLimiter
from services.gateway.shares.fair_shares import FairShares
from services.gateway.uploads.archives import Limits
from services.gateway.uploads.receive import receive
from services.gateway.uploads.spool import SpoolFolder, SpoolFull, UploadedFile

_COUNT_WEIGHT: Final = 2
_BYTES_WEIGHT: Final = 8  # a client alone may fill eight ninths of the free disk
_UNPACKING: Final = 4  # uploads that are unpacked at the same time, out of 40 threads of the process
_STORING: Final = 4  # jobs that are stored at the same time; each one takes several threads
_TURNS_WEIGHT: Final = 1  # a client alone may have half of these turns, and the last one is a newcomer's
_RETRY_AFTER_S: Final = 5
_YOUNG_S: Final = 5.0  # an upload's rate is not known before


class TooManyUploads(Problem):
    status = 429
    code = "too_many_uploads"
    title = "This client has too many uploads in progress"
    retry_after_s = _RETRY_AFTER_S


class UploadEnded(Problem):
    status = 429
    code = "upload_ended"
    title = "The upload was ended to give its place to another client"
    retry_after_s = _RETRY_AFTER_S


class Uploads:
    """The uploads in progress of this process.

    Parameters
    ----------
    clock
        seconds
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.receiving: set[Upload] = set()
        self.count = FairShares(settings.max_uploads, _COUNT_WEIGHT, settings.max_uploads_per_client)
        self.bytes = FairShares(settings.max_uploads_bytes, _BYTES_WEIGHT)
        self.unpacking = FairLimiter(_UNPACKING, _TURNS_WEIGHT)
        self.storing = FairLimiter(_STORING, _TURNS_WEIGHT)

    @contextmanager
    def begin(self, client: Client) -> Iterator["Upload"]:
        """One upload, until its files are removed or stored at the end of the context.

        A client's only upload gets a place where any is free. Where none is, it gets that of the slowest upload of the
        share with most uploads, unless no share has two.

        Raises
        ------
        TooManyUploads
            the client's share has no room for one more
        Overloaded
            no client has
        """
        self._check_place(client)
        upload = Upload(self, client)
        self.count.add(client, 1)
        self.receiving.add(upload)
        try:
            yield upload
        finally:
            upload.end()

    def _check_place(self, client: Client) -> None:
        first = not self.count.held(client)
        if not self.count.has_room(1) and not (first and self._end_slowest()):
            raise _overloaded(f"{self.count.used} uploads are in progress")
        if not first and not self.count.fits(client, 1):
            detail = f"{self.count.held(client)} are in progress; send the next one when one of them is answered"
            raise TooManyUploads(detail)

    def _end_slowest(self) -> bool:
        """End the slowest upload of the share with most uploads; False where no share has two."""
        found = [upload for upload in self.receiving if upload.waits_for_body and self.count.held(upload.client) > 1]
        if not found:
            return False
        most = max(self.count.held(upload.client) for upload in found)
        now = self.clock()
        min((one for one in found if self.count.held(one.client) == most), key=lambda one: one.pace(now)).give_place()
        return True


class Upload:
    """One upload of a client."""

    def __init__(self, uploads: Uploads, client: Client) -> None:
        self._uploads = uploads
        self.client = client
        self.waits_for_body = True
        self._began_at = uploads.clock()
        self._ended = False
        self._waiting: CancelScope | None = None
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
        UploadEnded
            another client got the place
        Problem
            as `uploads.receive` raises
        """

        async def metered() -> Message:
            message = await self._next_message(request)
            self._hold(len(message.get("body", b"")), shutil.disk_usage(folder.path).free)
            received(self._bytes)
            return message

        unpacking = self._uploads.unpacking.acquire(1, self.client)
        files = await receive(Request(request.scope, metered), folder, limits, unpacking)
        self._hold(max(sum(file.size for file in files) - self._bytes, 0))
        self._end_receiving()
        return files

    async def _next_message(self, request: Request) -> Message:
        message: Message = {}
        with CancelScope() as scope:
            self._waiting = scope
            message = await request.receive()
        if self._ended:
            raise UploadEnded(
                "all places of uploads were taken, and this client had most of them; send fewer at the same time, "
                "and send this one again"
            )
        self.waits_for_body = bool(message.get("more_body"))
        return message

    def pace(self, now: float) -> tuple[bool, float]:
        """Sorts uploads from the slowest, in bytes per second; those that have just begun are last."""
        age_s = now - self._began_at
        return age_s < _YOUNG_S, self._bytes / max(age_s, 1.0)

    def give_place(self) -> None:
        """End the upload for another client's."""
        self._ended = True
        if self._waiting:
            self._waiting.cancel()
        self._end_receiving()

    def storing(self) -> AbstractAsyncContextManager[None]:
        """The client's turn to store the files of a job."""
        return self._uploads.storing.acquire(1, self.client)

    def end(self) -> None:
        """Give back all that the upload holds."""
        self._end_receiving()
        self._uploads.bytes.add(self.client, -self._bytes)
        self._bytes = 0

    def _end_receiving(self) -> None:
        if self in self._uploads.receiving:
            self._uploads.receiving.remove(self)
            self._uploads.count.add(self.client, -1)

    def _hold(self, more: int, free_disk: int | None = None) -> None:
        """Count more bytes on disk; those that are yet to be written must leave others a part of the free disk."""
        held = self._uploads.bytes
        if not more:
            return
        if not held.has_room(more):
            raise _overloaded(f"uploads in progress have {format_bytes(held.used)} on disk")
        if not held.fits(self.client, more):
            detail = f"they have {format_bytes(held.held(self.client))} on disk, and the rest is kept for other clients"
            raise TooManyUploads(f"{detail}; send the next one when one of them is answered")
        if not held.fits(self.client, more, free_disk):
            raise SpoolFull("the rest of the disk of the uploads is kept for other clients; nothing was accepted")
        held.add(self.client, more)
        self._bytes += more


def _overloaded(reason: str) -> Overloaded:
    return Overloaded(f"{reason}; send the request again later", retry_after_s=_RETRY_AFTER_S)

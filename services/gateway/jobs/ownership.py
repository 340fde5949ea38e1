"""One gateway owns its spool and its folder of jobs: a second one must not clean them up. Object storage is shared."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from anyio import to_thread

from services.common.folder_lock import FolderInUse, is_shared_by_machines, locked
from services.common.private_folder import make_private
from services.gateway.jobs.membership import Membership
from services.gateway.jobs.storage import LocalStorage
from services.gateway.jobs.storage_lease import BEAT_S, StorageLease
from services.gateway.settings import Settings

log = logging.getLogger(__name__)
_SPOOL: Final = "ICH_GATEWAY_SPOOL_DIR"
_JOBS: Final = "ICH_GATEWAY_JOBS_DIR"


@asynccontextmanager
async def owning(settings: Settings, membership: Membership | None = None) -> AsyncIterator[None]:
    """Own the folders of the settings for the time of the context, private to this user; join others on a storage.

    On a local disk a lock decides, which the kernel releases with its process. On a network file system a heartbeat
    decides: a start then waits up to 20 s after an owner that did not end in order.

    Parameters
    ----------
    membership
        this gateway among others that share the storage of jobs

    Raises
    ------
    FolderInUse
        another gateway owns one of them
    UnsafeFolder
        another user made one of the folders
    """
    async with AsyncExitStack() as stack:
        try:
            for folder, name in _local_folders(settings):
                stack.enter_context(locked(folder, name))
            leases = list(_leases(settings))
            for lease in leases:
                await to_thread.run_sync(lease.acquire)
                stack.push_async_callback(to_thread.run_sync, lease.release)
        except FolderInUse as refusal:
            log.error(str(refusal))  # noqa: TRY400 - the traceback adds nothing
            raise
        await stack.enter_async_context(_beating(leases))
        if membership:
            members = membership.running()
            await to_thread.run_sync(members.__enter__)
            stack.push_async_callback(to_thread.run_sync, members.__exit__, None, None, None)
        yield


def _folders(settings: Settings) -> Iterator[tuple[Path, str]]:
    """Each folder once, with its setting; made private."""
    folders = {settings.spool_dir.resolve(): (settings.spool_dir, _SPOOL)}
    folders |= {settings.jobs_dir.resolve(): (settings.jobs_dir, _JOBS)}
    for folder, name in folders.values():
        make_private(folder, name)
        yield folder, name


def _local_folders(settings: Settings) -> Iterator[tuple[Path, str]]:
    return ((folder, name) for folder, name in _folders(settings) if not is_shared_by_machines(folder))


def _leases(settings: Settings) -> Iterator[StorageLease]:
    for folder, name in _folders(settings):
        if is_shared_by_machines(folder):
            yield StorageLease(LocalStorage(folder), str(folder), name)


@asynccontextmanager
async def _beating(leases: Sequence[StorageLease]) -> AsyncIterator[None]:
    task = asyncio.create_task(beat_forever(leases))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def beat_forever(leases: Sequence[StorageLease], *, interval_s: float = BEAT_S) -> None:
    """Give signs of life; end this process where another gateway has taken a lease over."""
    while leases:
        for lease in leases:
            try:
                if not await to_thread.run_sync(lease.beat):
                    log.critical("another gateway has taken over this one's storage; this gateway ends")
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
            except Exception as error:  # noqa: BLE001 - drivers of object storages raise errors of their own
                fields = {"error": type(error).__name__, "errno": getattr(error, "errno", None)}
                log.warning("the storage takes no heartbeat", extra={"fields": fields})
        await asyncio.sleep(interval_s)

"""The check at start that a storage can hold jobs."""

import logging
import secrets
from typing import Final

from services.gateway.jobs.storage import LocalStorage, Storage
from services.gateway.jobs.storage_errors import StorageUnavailable

log = logging.getLogger(__name__)
_CHECK: Final = "check"


class UnusableStorage(Exception):
    """The object storage of `ICH_GATEWAY_JOBS_URL` cannot hold jobs."""


def check_storage(storage: Storage) -> None:
    """Create a file of an object storage twice, list it and remove it.

    Raises
    ------
    UnusableStorage
        the storage does not answer, refuses one of the four operations, or ignores `If-None-Match`: two gateways would
        then do one thing twice
    """
    if isinstance(storage, LocalStorage):
        return
    try:
        conditional = _is_conditional(storage)
    except StorageUnavailable as error:
        log.error(error.detail)  # noqa: TRY400 - the traceback adds nothing
        raise UnusableStorage(error.detail) from None
    if not conditional:
        log.error(_NOT_CONDITIONAL)
        raise UnusableStorage(_NOT_CONDITIONAL)


_NOT_CONDITIONAL: Final = (
    "the object storage of ICH_GATEWAY_JOBS_URL has no conditional writes (If-None-Match: *), or lists late: use "
    "Amazon S3, MinIO, SeaweedFS 4, Google Cloud Storage, Azure Blob Storage or another one that has both"
)


def _is_conditional(storage: Storage) -> bool:
    """Whether a file is created once only, and listed at once."""
    name = secrets.token_hex(8)
    key = f"{_CHECK}/{name}"
    first, second, listed = storage.create(key, b"1"), storage.create(key, b"2"), storage.names(_CHECK)
    storage.remove(key)
    return first and not second and name in listed

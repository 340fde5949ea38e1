"""Failures of an object storage. The driver's messages name keys and access keys, so they go nowhere."""

import errno
import logging
import re
from typing import Final

from services.common.problems import Problem

log = logging.getLogger(__name__)
_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>(\w{1,60})</Code>")
_NO_BUCKET: Final = re.compile(r"NoSuchBucket|ContainerNotFound|The specified bucket does not exist")
_FULL: Final = {"QuotaExceeded", "QuotaExceededException", "XMinioStorageFull", "InsufficientCapacity"}
_REFUSED: Final = {"301", "400", "401", "403", "404"}
_REFUSED_TYPES: Final = {"PermissionDeniedError", "UnauthenticatedError"}


class StorageUnavailable(Problem, OSError):
    """The object storage failed: no connection, no answer in time, throttled, or an error of the server."""

    status = 503
    code = "storage_unavailable"
    title = "The storage of jobs does not answer"
    retry_after_s = 30


class StorageRefused(StorageUnavailable):
    """The object storage refuses: another bucket, credentials or policy is needed."""

    code = "storage_refused"
    title = "The storage of jobs refuses access"
    retry_after_s = 300


def storage_error(error: Exception, operation: str) -> OSError:
    """The error by its class and HTTP status alone; logs both.

    Parameters
    ----------
    error : of the driver
    operation : for the log, such as `get`
    """
    text = str(error)
    status, code = (found[1] if (found := pattern.search(text)) else "" for pattern in (_STATUS, _CODE))
    if status == "507" or code in _FULL:
        return OSError(errno.ENOSPC, "the object storage is full")
    reason = " ".join(filter(None, (status, code))) or "no answer"
    log.warning("object storage failed", extra={"fields": {"operation": operation, "reason": reason}})
    if status in _REFUSED or type(error).__name__ in _REFUSED_TYPES:
        return StorageRefused(
            f"the object storage of jobs refuses access ({reason}): its operator checks the bucket of "
            "ICH_GATEWAY_JOBS_URL, the credentials and the policy"
        )
    return StorageUnavailable(f"the object storage of jobs failed ({reason}); try again later")


def names_missing_bucket(error: Exception) -> bool:
    """Whether a missing key is due to a missing bucket."""
    return bool(_NO_BUCKET.search(str(error)))

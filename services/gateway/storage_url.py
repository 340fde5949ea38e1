"""The URL of an object storage of jobs. It holds no credentials, so that logs and messages may show it."""

from typing import Final
from urllib.parse import urlsplit

_SCHEMES: Final = {"s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss", "memory"}


def checked_storage_url(url: str) -> str:
    """The URL, such as `s3://bucket/prefix`.

    Raises
    ------
    ValueError
        it is of another kind, or holds credentials; the message shows neither
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise ValueError(
            f"the scheme is {parts.scheme[:20] or 'missing'}; it must be s3, gs, az or memory. For a folder, set "
            "ICH_GATEWAY_JOBS_DIR to it and leave ICH_GATEWAY_JOBS_URL unset"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            "the URL holds credentials or a query; set variables of the environment instead, such as AWS_ACCESS_KEY_ID"
        )
    if not parts.netloc:
        raise ValueError("the URL names no bucket; it must be such as s3://bucket/prefix")
    return url

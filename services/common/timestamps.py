"""Timestamps of documents."""

import time
from datetime import UTC, datetime


def utc_now() -> str:
    """The current time in UTC, to the millisecond (RFC 3339)."""
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

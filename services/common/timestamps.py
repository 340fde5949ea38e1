"""The time, as documents state it."""

from datetime import UTC, datetime


def utc_now() -> str:
    """The present in UTC, to the millisecond (ISO 8601, RFC 3339)."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

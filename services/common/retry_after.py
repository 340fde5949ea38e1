"""The header `Retry-After` (RFC 9110, 10.2.3)."""

import time
from email.utils import parsedate_to_datetime


def retry_after_s(value: str) -> float | None:
    """Seconds to wait by the header's value, a number or a date; None where it is neither."""
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return None

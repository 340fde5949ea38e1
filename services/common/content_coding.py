"""Content codings of a body or of a part (RFC 9110, 8.4)."""

from typing import Final

_PLAIN_CODINGS: Final = frozenset({"", "identity"})


def is_identity_coding(header: str) -> bool:
    """Whether a Content-Encoding is `identity`."""
    return all(coding.strip().lower() in _PLAIN_CODINGS for coding in header.split(","))

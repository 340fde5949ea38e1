"""Ids of senders who have no id in the file of keys."""

import base64
import hashlib
from typing import Final, Literal

_CHARACTERS: Final = 26  # 130 bits; an id of a sender has 32 characters at most


def sender_id(way: Literal["oidc", "proxy"], *parts: str) -> str:
    """A sender's id without a name in it: a hash of parts, in the form of SENDER_ID."""
    hashed = hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).digest()
    return f"{way}-{base64.b32encode(hashed).decode().lower()[:_CHARACTERS]}"

"""UIDs of result objects, derived from the assessment: the same assessment always gives the same UIDs."""

from hashlib import sha256
from typing import Final

_BYTES: Final = 16


def derive_uid(seed: str, *parts: str | int) -> str:
    """A UID of 128 bits under 2.25 (PS3.5 B.2).

    Parameters
    ----------
    seed : names one assessment of one node
    parts : what the UID is for, such as "sr" or "frame of reference"
    """
    digest = sha256("\0".join((seed, *map(str, parts))).encode()).digest()[:_BYTES]
    return f"2.25.{int.from_bytes(digest)}"

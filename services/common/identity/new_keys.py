"""New API keys, in a form that scanners for secrets find: `ich_<sender>_<random><checksum>`."""

import re
import secrets
import string
import zlib
from typing import Final

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM: Final = 30  # 178 bits
_CHECKSUM: Final = 6
PATTERN: Final = re.compile(rf"ich_[A-Za-z0-9-]{{1,32}}_[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}")


def new_key(sender: str) -> str:
    """A random key of a sender."""
    body = f"ich_{sender}_{''.join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))}"
    return body + _checksum(body)


def is_key(text: str) -> bool:
    """Whether a text is a key of this form, with a right checksum: a scanner needs no list of keys."""
    return bool(PATTERN.fullmatch(text)) and text.endswith(_checksum(text[:-_CHECKSUM]))


def _checksum(body: str) -> str:
    """CRC-32 in base 62."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        number, rest = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[rest] + digits
    return digits

"""API keys of senders: who sends a request, by the bearer key in its Authorization header (RFC 6750)."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

from services.common.clients import SENDER_ID
from services.common.identity.key_throttle import FREE_FAILURES, KeyThrottle
from services.common.identity.principal import DEFAULT_ROLES, EVERYONE, ROLES, Principal, Role
from services.common.identity.problems import TooManyWrongKeys, Unauthorized

_THROTTLED: Final = (
    f"more than {FREE_FAILURES} wrong keys came from this address, and a right key may be refused with them: check the "
    "key, wait {seconds} s, and stop programs that send old keys"
)
"""The same text for a wrong and a right key: a difference would tell a guesser which one it was."""
_LINE: Final = re.compile(rf"({SENDER_ID.pattern})\s+(\S{{16,}})(?:\s+([a-z_,]+))?")


class ApiKeys:
    """Maps keys, which are held as SHA-256, to principals. Without a file of keys every request has one sender."""

    def __init__(self, by_hash: Mapping[bytes, Principal] | None) -> None:
        self._by_hash = by_hash
        self.throttle = KeyThrottle()

    @classmethod
    def read(cls, path: Path | None) -> "ApiKeys":
        """Read a file with lines `id key` or `id key role,role`; `#` begins a comment.

        Raises
        ------
        ValueError
            a line has another form (keys have 16 characters or more; ids have letters, digits and hyphens), or names
            an unknown role
        """
        if path is None:
            return cls(None)
        found = {}
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            text = line.partition("#")[0].strip()
            match = _LINE.fullmatch(text)
            if text and not match:
                raise ValueError(
                    f"{path.name}, line {number}: expected an id, a key of 16 characters or more, and optionally roles "
                    "separated by commas"
                )
            if match:
                roles = DEFAULT_ROLES | _roles(match[3] or "", f"{path.name}, line {number}")
                found[_hash(match[2])] = Principal(match[1], roles, "key")
        return cls(found)

    @property
    def required(self) -> bool:
        """Whether a request needs a key."""
        return self._by_hash is not None

    def principal(self, key: str | None, address: str) -> Principal:
        """The principal of a key. Every key is compared, so that the time tells nothing of the keys.

        Parameters
        ----------
        address
            the addresses that count as one client, for the throttle

        Raises
        ------
        Unauthorized
            the key is missing or unknown
        TooManyWrongKeys
            the key is unknown, or not tried, after too many unknown ones from the address
        """
        if self._by_hash is None:
            return EVERYONE
        hashed, found = _hash(key or ""), None
        for known, principal in self._by_hash.items():
            found = principal if hmac.compare_digest(known, hashed) else found
        if found and self.throttle.accepts(address, hashed):
            return found
        retry_after_s = self.throttle.fail(address, hashed) if key else None
        if retry_after_s:
            raise TooManyWrongKeys(_THROTTLED.format(seconds=retry_after_s), retry_after_s=retry_after_s)
        raise Unauthorized("send the header 'Authorization: Bearer KEY' with a key that this server knows")


def _roles(words: str, line: str) -> frozenset[Role]:
    """The roles in the third word of a line."""
    names = set(filter(None, words.split(",")))
    if not names <= set(ROLES):
        raise ValueError(f"{line}: unknown role; known are {', '.join(ROLES)}")
    return frozenset(cast("set[Role]", names))


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()

"""Lines of the file of keys.

    ann sha256:9f86d0... roles=submit,read created=2026-11-29 expires=2027-12-01
    bob a-plain-key-of-16-characters read_all

A plain key has `submit` and `read`, and its third word adds roles. `#` begins a comment.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from services.common.clients import SENDER_ID
from services.common.identity.principal import DEFAULT_ROLES, ROLES, Principal, Role

_PLAIN: Final = re.compile(rf"({SENDER_ID.pattern})\s+(\S{{16,}})(?:\s+([a-z_,]+))?")
_HASHED: Final = re.compile(rf"({SENDER_ID.pattern})\s+sha256:([0-9a-f]{{64}})((?:\s+[a-z]+=\S+)*)")
_FORM: Final = "expected an id, a key of 16 characters or more, and optionally roles separated by commas"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key's hash, with its sender.

    hashed : SHA-256 of the key
    expires : the first day, in UTC, on which it is refused; None without an end
    plain : whether the file holds the key itself
    """

    hashed: bytes
    sender: str
    roles: frozenset[Role]
    created: date | None = None
    expires: date | None = None
    plain: bool = False

    @property
    def principal(self) -> Principal:
        """The sender with its roles."""
        return Principal(self.sender, self.roles, "key")

    @property
    def fingerprint(self) -> str:
        """The first digits of the hash: they name the key among those of its sender."""
        return self.hashed.hex()[:8]

    def is_expired(self, now: datetime) -> bool:
        """Whether the key is refused at a time."""
        return self.expires is not None and now.astimezone(UTC).date() >= self.expires

    def line(self) -> str:
        """The line of the file, with the hash in place of the key."""
        words = [self.sender, f"sha256:{self.hashed.hex()}", f"roles={','.join(sorted(self.roles))}"]
        for name, day in (("created", self.created), ("expires", self.expires)):
            words += [f"{name}={day.isoformat()}"] if day else []
        return " ".join(words)


def hash_key(key: str) -> bytes:
    """SHA-256 of a key. A key of 128 random bits or more needs no slow hash: nobody can try that many keys."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()


def read_keys(text: str, name: str) -> dict[bytes, StoredKey]:
    """The keys of a file by their hash; the last line of a key counts.

    Parameters
    ----------
    name : of the file, for messages

    Raises
    ------
    ValueError
        a line has another form, an unknown role or no date; the message never quotes the line
    """
    return {found.hashed: found for _, found in numbered_keys(text, name)}


def numbered_keys(text: str, name: str) -> Iterator[tuple[int, StoredKey]]:
    """The keys of a file with the numbers of their lines, from 0; ValueError as in `read_keys`."""
    for number, line in enumerate(text.splitlines()):
        if content := line.partition("#")[0].strip():
            try:
                yield number, read_key(content)
            except ValueError as error:
                raise ValueError(f"{name}, line {number + 1}: {error}") from None


def read_key(content: str) -> StoredKey:
    """The key of a line without its comment; ValueError for another form."""
    if hashed := _HASHED.fullmatch(content):
        return _hashed_key(hashed)
    if any(word.startswith("sha256:") for word in content.split()[1:2]):
        raise ValueError("expected an id, sha256: with 64 digits, and roles=, created= and expires=")
    if plain := _PLAIN.fullmatch(content):
        return StoredKey(hash_key(plain[2]), plain[1], DEFAULT_ROLES | parse_roles(plain[3] or ""), plain=True)
    raise ValueError(_FORM)


def _hashed_key(match: re.Match[str]) -> StoredKey:
    members = dict(word.split("=", 1) for word in match[3].split())
    if unknown := set(members) - {"roles", "created", "expires"}:
        raise ValueError(f"{', '.join(sorted(unknown))} is unknown; a key has roles=, created= and expires=")
    return StoredKey(
        bytes.fromhex(match[2]),
        match[1],
        parse_roles(members["roles"]) if "roles" in members else DEFAULT_ROLES,
        _day(members, "created"),
        _day(members, "expires"),
    )


def parse_roles(words: str) -> frozenset[Role]:
    """Roles separated by commas; ValueError for an unknown one."""
    names = set(filter(None, words.split(",")))
    if not names <= set(ROLES):
        raise ValueError(f"unknown role; known are {', '.join(ROLES)}")
    return frozenset(role for role in ROLES if role in names)


def _day(members: Mapping[str, str], name: str) -> date | None:
    if name not in members:
        return None
    try:
        return date.fromisoformat(members[name])
    except ValueError:
        raise ValueError(f"{name}= must be a date such as 2027-01-01") from None

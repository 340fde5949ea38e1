"""Chains of audit lines: each line holds the hash of the line before it and its own.

A process begins a chain. Its first line holds the hash of the last line that it finds in the file, so that a whole
chain cannot be removed either. The hash is SHA-256, or HMAC-SHA256 with a key, over the bytes of the line before its
member `hash`.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

NO_HASH: Final = "0" * 64
"""The hash before the first line of all."""
_END: Final = re.compile(rb',"hash":"([0-9a-f]{64})"\}')
_CHAIN: Final = re.compile("[0-9a-f]{16}")
_END_BYTES: Final = len(f',"hash":"{NO_HASH}"}}')


@dataclass(frozen=True, slots=True)
class Link:
    """The place of a line: its chain, its number in the chain from 0, and its hash."""

    chain: str
    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was read.

    own_hash : whether its hash is that of its bytes
    fields : all members
    """

    link: Link
    previous: str
    own_hash: bool
    fields: Mapping[str, Any]


def new_chain(previous: str) -> Link:
    """The place before the first line of a new chain; `previous` is the hash of the last line in the file."""
    return Link(secrets.token_hex(8), -1, previous)


def seal(fields: Mapping[str, Any], before: Link, key: bytes | None = None) -> tuple[bytes, Link]:
    """The line of an event with its newline, and its place."""
    place = {"chain": before.chain, "seq": before.sequence + 1, "prev": before.hash}
    body = json.dumps({**place, **fields}, separators=(",", ":")).encode()
    digest = _digest(body, key)
    line = b'%s,"hash":"%s"}\n' % (body[:-1], digest.encode())
    return line, Link(before.chain, before.sequence + 1, digest)


def read_line(line: bytes, key: bytes | None = None) -> Line | None:
    """An audit line without its newline; None where it is none."""
    end = _END.fullmatch(line[-_END_BYTES:])
    body = line[:-_END_BYTES] + b"}"
    try:
        fields = json.loads(body)
        link = Link(fields["chain"], fields["seq"], end[1].decode() if end else "")
        previous = fields["prev"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    typed = isinstance(link.chain, str) and type(link.sequence) is int and isinstance(previous, str)
    if not end or not typed or not _CHAIN.fullmatch(link.chain):
        return None
    return Line(link, previous, hmac.compare_digest(_digest(body, key), link.hash), fields)


def _digest(body: bytes, key: bytes | None) -> str:
    return hmac.digest(key, body, "sha256").hex() if key else hashlib.sha256(body).hexdigest()

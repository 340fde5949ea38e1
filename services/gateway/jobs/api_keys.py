"""Who may send jobs: bearer keys from a file. Without one everybody is the same sender."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.common.problems import Problem

ANONYMOUS: Final = "anybody"
BEARER: Final = HTTPBearer(auto_error=False, scheme_name="key", description="a line of the site's file of keys")
_LINE: Final = re.compile(r"([A-Za-z0-9-]{1,32})\s+(\S{16,})")


class Unauthorized(Problem):
    status = 401
    code = "unauthorized"
    title = "A key is needed"

    def headers(self) -> dict[str, str]:
        """How to give one (RFC 6750)."""
        return {"www-authenticate": "Bearer"}


class ApiKeys:
    """Tells who sends by the key that a request bears; keys are kept as hashes."""

    def __init__(self, by_hash: Mapping[bytes, str] | None) -> None:
        self._by_hash = by_hash

    @classmethod
    def read(cls, path: Path | None) -> "ApiKeys":
        """Of a file with lines `id key`; `#` begins a comment.

        Raises
        ------
        ValueError
            a line is something else (keys have 16 characters or more, ids letters, digits and hyphens)
        """
        if path is None:
            return cls(None)
        found = {}
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            text = line.partition("#")[0].strip()
            match = _LINE.fullmatch(text)
            if text and not match:
                raise ValueError(f"{path.name}, line {number}: wanted an id and a key of 16 characters or more")
            if match:
                found[_hash(match[2])] = match[1]
        return cls(found)

    @property
    def anybody(self) -> bool:
        """Whether no key is asked for."""
        return self._by_hash is None

    def authenticate(
        self, request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
    ) -> str:
        """The key's id, as a dependency of a route, which the OpenAPI document then names as secured."""
        return self.sender(request.headers.get("authorization"))

    def sender(self, authorization: str | None) -> str:
        """The key's id.

        Raises
        ------
        Unauthorized
            there is no key, or one that is not known
        """
        if self._by_hash is None:
            return ANONYMOUS
        scheme, _, key = (authorization or "").partition(" ")
        hashed = _hash(key.strip())
        for known, sender in self._by_hash.items():
            if scheme.lower() == "bearer" and hmac.compare_digest(known, hashed):
                return sender
        raise Unauthorized("send the header 'Authorization: Bearer KEY' with a key that this gateway knows")


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()

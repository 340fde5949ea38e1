"""API keys of senders: who sends a request, by the bearer key in its Authorization header (RFC 6750)."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast, get_args

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.common.clients import ANONYMOUS, SENDER_ID, Client
from services.common.connections.client_address import address_group
from services.common.key_throttle import FREE_FAILURES, KeyThrottle
from services.common.problems import Problem

BEARER: Final = HTTPBearer(auto_error=False, scheme_name="key", description="a line of the site's file of keys")
_THROTTLED: Final = (
    f"more than {FREE_FAILURES} wrong keys came from this address, and a right key may be refused with them: check the "
    "key, wait {seconds} s, and stop programs that send old keys"
)
"""The same text for a wrong and a right key: a difference would tell a guesser which one it was."""
_LINE: Final = re.compile(rf"({SENDER_ID.pattern})\s+(\S{{16,}})(?:\s+([a-z_,]+))?")
Role = Literal["read_all"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends a request. Everyone submits and reads jobs of their own; roles add to that.

    roles : `read_all` reads all jobs; it neither changes nor deletes those of others
    """

    id: str
    roles: frozenset[Role] = frozenset()

    @property
    def reads_all(self) -> bool:
        """Whether jobs of others may be read."""
        return "read_all" in self.roles


EVERYONE: Final = Principal(ANONYMOUS)  # where no key is required, all jobs are those of this one


class Unauthorized(Problem):
    status = 401
    code = "unauthorized"
    title = "An API key is required"

    def headers(self) -> dict[str, str]:
        """The authentication scheme (RFC 6750)."""
        return {"www-authenticate": "Bearer"}


class TooManyWrongKeys(Problem):
    status = 429
    code = "too_many_wrong_keys"
    title = "Too many wrong API keys came from this address"

    def __init__(self, detail: str, *, retry_after_s: int = 10) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


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
                found[_hash(match[2])] = Principal(match[1], _roles(match[3] or "", f"{path.name}, line {number}"))
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


def authenticate(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
) -> Principal:
    """Who sends a request: a dependency of each route that needs a key. The audit log reads the id too."""
    api_keys: ApiKeys = request.app.state.api_keys
    principal = api_keys.principal(credentials.credentials if credentials else None, _address(request))
    request.state.sender = principal.id
    return principal


def identify(request: Request, principal: Annotated[Principal, Depends(authenticate)]) -> Client:
    """A request's sender and address: a dependency of each route that shares something among clients."""
    return Client(principal.id, _address(request))


def mark_key_optional(document: dict[str, Any]) -> None:
    """Declare the API key as optional in every operation."""
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    for operation in operations:
        if security := operation.get("security"):
            security.append({})


def _roles(words: str, line: str) -> frozenset[Role]:
    """The roles in the third word of a line."""
    names = set(filter(None, words.split(",")))
    if not names <= set(ROLES):
        raise ValueError(f"{line}: unknown role; known are {', '.join(ROLES)}")
    return frozenset(cast("set[Role]", names))


def _address(request: Request) -> str:
    return address_group(request.client.host if request.client else None)


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()

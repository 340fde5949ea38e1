"""API keys of senders: who sends a request, by the bearer key in its Authorization header (RFC 6750)."""

import logging
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from services.common.identity.key_lines import StoredKey, hash_key, read_keys
from services.common.identity.key_throttle import FREE_FAILURES, KeyThrottle
from services.common.identity.principal import EVERYONE, Principal
from services.common.identity.problems import TooManyWrongKeys, Unauthorized

log = logging.getLogger(__name__)
_THROTTLED: Final = (
    f"more than {FREE_FAILURES} wrong keys came from this address, and a right key may be refused with them: check the "
    "key, wait {seconds} s, and stop programs that send old keys"
)
"""The same text for a wrong and a right key: a difference would tell a guesser which one it was."""
_Signature = tuple[int, int, int, int]


def _now() -> datetime:
    return datetime.now(UTC)


class ApiKeys:
    """Maps keys, which are held as SHA-256, to principals. A changed file is read again at the next request.

    Parameters
    ----------
    by_hash : None where no key is required: then every request has one sender
    path : file of the keys; None for keys that never change

    Attributes
    ----------
    file_errors : number of changes of the file that could not be read; the keys before them stay
    changed : is called with the number of keys after each change of the file
    """

    def __init__(
        self,
        by_hash: Mapping[bytes, StoredKey] | None,
        path: Path | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self.throttle = KeyThrottle()
        self.file_errors = 0
        self.changed: Callable[[int], None] = lambda _: None
        self._by_hash, self._path, self._clock = by_hash, path, clock
        self._read_at: _Signature | None = None

    @classmethod
    def read(cls, path: Path | None) -> "ApiKeys":
        """Read a file of keys; its form is in `key_lines`.

        Raises
        ------
        ValueError
            a line has another form, or names an unknown role
        OSError
            the file cannot be read
        """
        if path is None:
            return cls(None)
        signature = _signature(path)
        found = cls(read_keys(path.read_text(), path.name), path)
        found._read_at = signature
        found.warn_of_plain_keys()
        return found

    def warn_of_plain_keys(self) -> None:
        """Log how to replace keys that the file holds in the clear."""
        plain = sum(key.plain for key in (self._by_hash or {}).values())
        if plain and self._path:
            command = f"python -m services.gateway.keys hash --file {self._path}"
            log.warning("%d API keys stand in the file in the clear; replace them by their hashes: %s", plain, command)

    @property
    def required(self) -> bool:
        """Whether a request needs a key."""
        return self._by_hash is not None

    def principal(self, key: str | None, address: str) -> Principal:
        """The principal of a key. Keys are found by their SHA-256, so the time tells nothing of them.

        Parameters
        ----------
        address
            the addresses that count as one client, for the throttle

        Raises
        ------
        Unauthorized
            the key is missing, unknown or expired
        TooManyWrongKeys
            the key is unknown, or not tried, after too many unknown ones from the address
        """
        self._read_again()
        if self._by_hash is None:
            return EVERYONE
        hashed = hash_key(key or "")
        found = self._by_hash.get(hashed)
        if found and self.throttle.accepts(address, hashed):
            return self._unexpired(found).principal
        retry_after_s = self.throttle.fail(address, hashed) if key else None
        if retry_after_s:
            raise TooManyWrongKeys(_THROTTLED.format(seconds=retry_after_s), retry_after_s=retry_after_s)
        raise Unauthorized("send the header 'Authorization: Bearer KEY' with a key that this server knows")

    def _unexpired(self, key: StoredKey) -> StoredKey:
        if key.is_expired(self._clock()):
            raise Unauthorized(f"this key expired on {key.expires}: ask the site's administrator for a new one")
        return key

    def _read_again(self) -> None:
        """Read the file where it is another one, or has changed; a broken one leaves the keys as they are."""
        if self._path is None:
            return
        signature = _signature(self._path)
        if signature == self._read_at:
            return
        self._read_at = signature
        try:
            self._by_hash = read_keys(self._path.read_text(), self._path.name)
        except (OSError, ValueError) as error:
            self.file_errors += 1
            log.error("the file of keys is broken, the keys before stay: %s", _fault(error))  # noqa: TRY400
            return
        log.info("the file of keys was read again", extra={"fields": {"keys": len(self._by_hash)}})
        self.warn_of_plain_keys()
        self.changed(len(self._by_hash))


def _signature(path: Path) -> _Signature | None:
    """Values that differ once a file is written or replaced, also behind a symbolic link; None without a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _fault(error: OSError | ValueError) -> str:
    """The fault, without content of the file."""
    if isinstance(error, UnicodeDecodeError):
        return "it is no UTF-8"
    return os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)

"""Throttles guesses of keys per address, with exemptions for keys that were right before from the same address.

The exemption follows OWASP's device cookies: a flood of guesses from an address does not lock out the senders that use
it, and a guess learns nothing from it.
"""

import time
from array import array
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Final

FREE_FAILURES: Final = 10  # wrong keys of an address that are answered with 401
FREE_GUESSES: Final = 100  # different wrong keys of an address, after which right ones are not tried either
_RECOVERY_S: Final = 10.0  # until an address has one more of both
_KNOWN_S: Final = 24 * 3600.0  # that a right key stays known
_MAX_ADDRESSES: Final = 10_000
_MAX_KNOWN: Final = 10_000
_REMEMBERED: Final = FREE_GUESSES  # wrong keys of an address that count as one guess when they are repeated


@dataclass(slots=True)
class _Level:
    """A count that falls by one in each period of recovery."""

    count: float = 0.0
    at: float = 0.0

    def now(self, now: float) -> float:
        self.count, self.at = max(0.0, self.count - (now - self.at) / _RECOVERY_S), now
        return self.count

    def add(self, now: float, most: int) -> None:
        self.count = min(self.now(now) + 1, most)


@dataclass(slots=True)
class _Address:
    failures: _Level = field(default_factory=_Level)
    guesses: _Level = field(default_factory=_Level)
    wrong: "array[int]" = field(default_factory=lambda: array("Q"))  # the last one is the newest

    def is_new(self, hashed: bytes) -> bool:
        """Whether a wrong key is none of the last ones; remember it by 64 bits of its hash."""
        key = int.from_bytes(hashed[:8])
        new = key not in self.wrong
        if not new:
            self.wrong.remove(key)
        self.wrong.append(key)
        del self.wrong[:-_REMEMBERED]
        return new


class KeyThrottle:
    """Failures of each address, in tables of bounded size.

    Parameters
    ----------
    clock
        seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.throttled = 0
        self._clock = clock
        self._addresses: OrderedDict[str, _Address] = OrderedDict()
        self._known: OrderedDict[tuple[str, bytes], float] = OrderedDict()

    def accepts(self, address: str, hashed: bytes) -> bool:
        """Whether a right key is accepted: unless too many different keys were tried from a foreign address."""
        now = self._clock()
        known_at = self._known.pop((address, hashed), None)
        found = self._addresses.get(address)
        guessing = found is not None and found.guesses.now(now) > FREE_GUESSES - 1
        if guessing and (known_at is None or now - known_at > _KNOWN_S):
            return False
        self._known[address, hashed] = now
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        return True

    def fail(self, address: str, hashed: bytes) -> int | None:
        """Count a refused key; the seconds until the next attempt where the address is throttled."""
        now = self._clock()
        found = self._addresses.pop(address, None) or _Address()
        self._addresses[address] = found
        if len(self._addresses) > _MAX_ADDRESSES:
            self._addresses.popitem(last=False)
        throttled = found.failures.now(now) > FREE_FAILURES - 1
        found.failures.add(now, FREE_FAILURES)
        if found.is_new(hashed):
            found.guesses.add(now, FREE_GUESSES)
        self.throttled += throttled
        return ceil(_RECOVERY_S) if throttled else None

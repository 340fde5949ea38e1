"""Counts what is in use, of each client and in all, within a limit of each."""

from collections import Counter
from threading import Lock


class FairLimit:
    """Usable from any thread."""

    def __init__(self, most: int, most_per_client: int) -> None:
        self._most, self._most_per_client = most, most_per_client
        self._used: Counter[str] = Counter()
        self._lock = Lock()

    @property
    def used(self) -> int:
        """In use by all clients."""
        return self._used.total()

    def take(self, client: str) -> bool:
        """Count one more of a client; False where a limit is reached."""
        with self._lock:
            if self._used.total() >= self._most or self._used[client] >= self._most_per_client:
                return False
            self._used[client] += 1
            return True

    def give_back(self, client: str) -> None:
        """Count one fewer of a client."""
        with self._lock:
            self._used[client] -= 1
            self._used += Counter()  # drops clients without any

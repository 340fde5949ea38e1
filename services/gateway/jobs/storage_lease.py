"""A lease on a storage that several machines share. Its heartbeat decides whether the owner lives.

owner/<generation>               the owner: process id, host, start
owner/<generation>.beat.<count>  its latest sign of life
owner/<generation>.released      it has ended

A new owner creates the next generation, which one process only can do. It compares no clocks: it watches whether the
heartbeat changes.
"""

import time
from collections.abc import Callable
from typing import Final

from services.common.folder_lock import FolderInUse, Owner, in_use
from services.gateway.jobs.storage import Storage

BEAT_S: Final = 5.0
PATIENCE_S: Final = 20.0
_FOLDER: Final = "owner"
_BEAT: Final = "beat"
_RELEASED: Final = "released"


class StorageLease:
    """The lease of this process.

    Parameters
    ----------
    place, setting
        address of the storage, and the setting that holds it, for messages
    patience_s
        seconds without a heartbeat after which an owner counts as dead
    """

    def __init__(
        self,
        storage: Storage,
        place: str,
        setting: str,
        *,
        patience_s: float = PATIENCE_S,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._storage = storage
        self._place = place
        self._setting = setting
        self._patience_s = patience_s
        self._sleep = sleep
        self._generation = 0
        self._beats = 0

    def acquire(self) -> None:
        """Become the owner. Waits up to `patience_s` for a sign of life of an owner that did not release it.

        Raises
        ------
        FolderInUse
            the owner lives
        """
        while True:
            latest = max(self._generations(), default=0)
            if latest and not self._is_released(latest) and self._lives(latest):
                raise self._in_use(latest)
            if self._storage.create(_key(latest + 1), Owner.current().record()):
                break
        self._generation = latest + 1
        for name in self._names():
            if _generation(name) < self._generation:
                self._storage.remove(f"{_FOLDER}/{name}")

    def beat(self) -> bool:
        """Give a sign of life; False where another process has taken the lease over meanwhile."""
        if max(self._generations(), default=0) != self._generation:
            return False
        self._beats += 1
        self._storage.create(_key(self._generation, _BEAT, self._beats), b"")
        self._storage.remove(_key(self._generation, _BEAT, self._beats - 1))
        return True

    def release(self) -> None:
        """Let the next process become the owner at once."""
        self._storage.create(_key(self._generation, _RELEASED), b"")

    def _lives(self, generation: int) -> bool:
        """Whether the owner gives a sign of life within the patience; False where it releases the lease."""
        first = self._signs(generation)
        for _ in range(max(1, round(self._patience_s / BEAT_S * 2))):
            self._sleep(BEAT_S / 2)
            if (signs := self._signs(generation)) != first:
                return _key(generation, _RELEASED).partition("/")[2] not in signs
        return False

    def _in_use(self, generation: int) -> FolderInUse:
        try:
            owner = Owner.parse(self._storage.get(_key(generation)))
        except FileNotFoundError:
            owner = None
        return in_use(self._place, owner, self._setting)

    def _is_released(self, generation: int) -> bool:
        return self._storage.exists(_key(generation, _RELEASED))

    def _names(self) -> list[str]:
        return [name for name in self._storage.names(_FOLDER) if name.partition(".")[0].isdigit()]

    def _generations(self) -> set[int]:
        return {_generation(name) for name in self._names()}

    def _signs(self, generation: int) -> frozenset[str]:
        return frozenset(name for name in self._names() if _generation(name) == generation)


def _key(generation: int, *more: str | int) -> str:
    return ".".join((f"{_FOLDER}/{generation:08d}", *map(str, more)))


def _generation(name: str) -> int:
    return int(name.partition(".")[0])

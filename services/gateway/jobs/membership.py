"""Gateways that share an object storage: which of them live, and which one holds the lease of sweeps.

gateways/<member>                the record of a gateway: process id, host, start
gateways/<member>.beat.<count>   its latest sign of life
gateways/sweeper.<generation>    the member that holds the lease

A gateway without a record is dead to all others. One that lives may lose its record, where it could not reach the
storage for a while: it joins again as a new member. Nobody compares clocks: each gateway watches whether the signs of
the others change. The lease of a gateway ends before another one may count it as dead.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from services.common.folder_lock import Owner
from services.gateway.jobs.storage import Storage
from services.gateway.jobs.storage_check import check_storage

log = logging.getLogger(__name__)
BEAT_S: Final = 5.0
PATIENCE_S: Final = 20.0
_FOLDER: Final = "gateways"
_BEAT: Final = "beat"
_SWEEPER: Final = "sweeper"
_JOIN_S: Final = 5.0


def boot_clock() -> float:
    """Seconds since an arbitrary moment; they pass while the machine sleeps, too (clock_gettime(2))."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Membership:
    """One gateway among those that share its storage.

    Parameters
    ----------
    patience_s
        seconds without a new sign of life after which a gateway counts as dead
    clock
        seconds since an arbitrary moment
    """

    def __init__(
        self, storage: Storage, *, patience_s: float = PATIENCE_S, clock: Callable[[], float] = boot_clock
    ) -> None:
        self._storage = storage
        self._patience_s = patience_s
        self._clock = clock
        self.id = secrets.token_hex(8)
        self._beats = 0
        self._seen: dict[str, tuple[frozenset[str], float]] = {}  # signs of each other member, and since when
        self._looked_at = float("-inf")
        self._term, self._leads_until = 0, float("-inf")
        self._holders: dict[int, str] = {}  # member that holds the lease, by generation

    def term(self) -> int | None:
        """The generation of the lease, while this gateway holds it."""
        return self._term if self._clock() < self._leads_until else None

    def join(self) -> None:
        """Become a member, under a new id. The record comes first: marks of uploads have the id."""
        self._leads_until = float("-inf")
        member = secrets.token_hex(8)
        self._storage.create(f"{_FOLDER}/{member}", Owner.current().record())
        self.id, self._beats = member, 0

    def leave(self) -> None:
        """Let another gateway take the lease at once."""
        self._leads_until = float("-inf")
        self._storage.remove(f"{_FOLDER}/{self.id}")
        self._remove_beats(self._storage.names(_FOLDER))

    def living(self) -> frozenset[str]:
        """The ids of all members, read anew."""
        return _members(self._storage.names(_FOLDER))

    def beat(self) -> None:
        """Give a sign of life, remove members that gave none for long, and keep or take the lease.

        A gateway that another one counted as dead joins again; its uploads in progress are refused.
        """
        begin, names = self._clock(), self._storage.names(_FOLDER)
        if self.id not in names:
            log.warning("other gateways counted this one as dead; it joins again, and senders repeat their uploads")
            self.join()
            names = self._storage.names(_FOLDER)
        self._beats += 1
        self._storage.create(_beat_key(self.id, self._beats), b"")
        self._storage.remove(_beat_key(self.id, self._beats - 1))
        living = _members(names) - self._remove_silent(names, begin)
        self._remove_beats(names, living)
        self._hold(names, living, begin)

    def _remove_silent(self, names: list[str], now: float) -> set[str]:
        """Remove the records of members whose signs did not change. A pause between two looks starts all anew."""
        if now - self._looked_at > self._patience_s / 2:
            self._seen.clear()
        self._looked_at = now
        before, self._seen = self._seen, {}
        for member in _members(names) - {self.id}:
            signs = frozenset(name for name in names if name.startswith(f"{member}."))
            seen = before.get(member)
            self._seen[member] = seen if seen and seen[0] == signs else (signs, now)
        silent = {member for member, (_, since) in self._seen.items() if now - since >= self._patience_s}
        for member in silent:
            log.warning("a gateway gave no sign of life and counts as dead", extra={"fields": {"member": member}})
            self._storage.remove(f"{_FOLDER}/{member}")
        return silent

    def _remove_beats(self, names: list[str], living: frozenset[str] = frozenset()) -> None:
        """Remove signs of life of members without a record."""
        for name in names:
            member, _, rest = name.partition(".")
            if rest.startswith(_BEAT) and member not in living:
                self._storage.remove(f"{_FOLDER}/{name}")

    def _hold(self, names: list[str], living: frozenset[str], begin: float) -> None:
        """Keep the lease, or take it where its holder is no member any more."""
        generations = _generations(names)
        latest = generations[-1] if generations else 0
        holder = self._holder(latest) if latest else None
        if latest and holder is None:  # removed since the listing, or not found by mistake: the next beat looks again
            self._leads_until = float("-inf")
            return
        if holder not in living:
            if not self._take(latest + 1):
                return
            log.info("this gateway sweeps for all", extra={"fields": {"term": latest + 1}})
            for generation in generations:
                self._storage.remove(_lease_key(generation))
            latest, self._holders = latest + 1, {latest + 1: self.id}
        elif holder != self.id:
            self._leads_until = float("-inf")
            return
        self._term, self._leads_until = latest, begin + self._patience_s / 2

    def _take(self, generation: int) -> bool:
        """Take a generation of the lease, unless others have passed on while this gateway's write was on its way.

        A generation is removed after the next one was created, so one that is taken again has a later one beside it.
        """
        if not self._storage.create(_lease_key(generation), self.id.encode()):
            return False
        if _generations(self._storage.names(_FOLDER))[-1:] != [generation]:
            self._storage.remove(_lease_key(generation))
            return False
        return True

    def _holder(self, generation: int) -> str | None:
        if generation not in self._holders:
            try:
                self._holders = {generation: self._storage.get(_lease_key(generation)).decode()}
            except FileNotFoundError:
                return None
        return self._holders[generation]

    @contextmanager
    def running(self, interval_s: float = BEAT_S) -> Iterator[None]:
        """A member until the context ends, with a thread of its own: neither slow uploads nor a busy loop delay it.

        Raises
        ------
        UnusableStorage
            the storage does not answer, refuses access, or has no conditional writes
        """
        check_storage(self._storage)
        self.join()
        self.beat()
        ended = threading.Event()
        thread = threading.Thread(target=self._beat_until, args=(ended, interval_s), name="membership", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(_JOIN_S)
            self._leave_if_possible()

    def _beat_until(self, ended: threading.Event, interval_s: float) -> None:
        failing = False
        while not ended.wait(interval_s):
            try:
                self.beat()
            except Exception as error:  # noqa: BLE001 - drivers of object storages raise errors of their own
                self._leads_until = float("-inf")
                if not failing:
                    log.warning("the storage takes no sign of life; this gateway sweeps no more", extra=_fields(error))
                failing = True
            else:
                failing = False

    def _leave_if_possible(self) -> None:
        try:
            self.leave()
        except Exception as error:  # noqa: BLE001 - drivers of object storages raise errors of their own
            log.warning("this gateway could not leave the storage in order; others wait 20 s", extra=_fields(error))


def _fields(error: Exception) -> Mapping[str, object]:
    return {"fields": {"error": type(error).__name__, "errno": getattr(error, "errno", None)}}


def _members(names: list[str]) -> frozenset[str]:
    return frozenset(name for name in names if "." not in name)


def _generations(names: list[str]) -> list[int]:
    """The generations of the lease, the latest last."""
    return sorted(int(rest) for kind, _, rest in map(_split, names) if kind == _SWEEPER and rest.isdigit())


def _split(name: str) -> tuple[str, str, str]:
    return name.partition(".")


def _beat_key(member: str, count: int) -> str:
    return f"{_FOLDER}/{member}.{_BEAT}.{count}"


def _lease_key(generation: int) -> str:
    return f"{_FOLDER}/{_SWEEPER}.{generation:08d}"

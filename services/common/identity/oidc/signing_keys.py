"""The provider's signing keys: cached, refreshed in the background, and fetched again for a new key id."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from services.common.identity.oidc.json_web_keys import Keys, KeyType, SigningKey, usable_keys
from services.common.identity.oidc.provider import KeySource, ProviderFailed
from services.common.identity.problems import ProviderUnavailable

log = logging.getLogger(__name__)
REFRESH_S: Final = 300.0  # between two refreshes; a key that the provider dropped is refused after it
INTERVAL_S: Final = 5.0  # the least time between two attempts, for whatever reason
_MISSING_S: Final = 30.0  # that an unknown key id is refused without another attempt
_MAX_MISSING: Final = 1000
_MAX_WAITING: Final = 100  # requests with unknown key ids that wait for an attempt


class SigningKeys:
    """The keys by key id and type.

    Parameters
    ----------
    keep_s : seconds that keys are used after the provider last answered
    interval_s : the least seconds between two attempts to fetch them
    clock : seconds
    """

    def __init__(
        self,
        source: KeySource,
        keep_s: float,
        interval_s: float = INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fetched = self.failed = 0
        self._source, self._keep_s, self._interval_s, self._clock = source, keep_s, interval_s, clock
        self._keys: Keys = {}
        self._fetched_at: float | None = None
        self._attempted_at: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._missing: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._waiting = self._begun = 0
        self._failing = self._last_usable = False

    @property
    def age_s(self) -> float | None:
        """Seconds since the provider last answered; None before it has."""
        return None if self._fetched_at is None else self._clock() - self._fetched_at

    @property
    def usable(self) -> bool:
        """Whether the provider answered recently enough."""
        age_s = self.age_s
        return age_s is not None and age_s <= self._keep_s

    def check_usable(self) -> None:
        """Raise ProviderUnavailable where no keys are usable."""
        if not self.usable:
            raise ProviderUnavailable("the OpenID provider's signing keys cannot be fetched; send the request again")

    def is_current(self, key: SigningKey) -> bool:
        """Whether the provider still published a key when it last answered."""
        return key in self._keys.values()

    async def find(self, key_id: str, key_type: KeyType) -> SigningKey | None:
        """The key of a key id. An unknown one waits for one more attempt, which all waiting requests share.

        Raises
        ------
        ProviderUnavailable
            no keys are usable, or too many requests wait
        """
        wanted = key_id, key_type
        if not self.usable:
            if not self._just_failed():
                await self._attempt()
            self.check_usable()
        if found := self._keys.get(wanted):
            return found
        if self._is_missing(wanted):
            return None
        await self._attempt_after_now(wanted)
        if wanted not in self._keys:
            self._note_missing(wanted)
        return self._keys.get(wanted)

    async def _attempt_after_now(self, wanted: tuple[str, str]) -> None:
        """Wait for an attempt that begins after this call: one in progress may have read older keys."""
        begun = self._begun
        await self._attempt()
        if self._begun == begun and wanted not in self._keys:
            await self._attempt()

    def _just_failed(self) -> bool:
        """Whether another attempt must wait, and is not in progress."""
        running = self._task is not None and not self._task.done()
        attempted_at = self._attempted_at
        return not running and attempted_at is not None and self._clock() - attempted_at < self._interval_s

    def _is_missing(self, wanted: tuple[str, str]) -> bool:
        noted_at = self._missing.get(wanted)
        return noted_at is not None and self._clock() - noted_at < _MISSING_S

    def _note_missing(self, wanted: tuple[str, str]) -> None:
        self._missing[wanted] = self._clock()
        self._missing.move_to_end(wanted)
        if len(self._missing) > _MAX_MISSING:
            self._missing.popitem(last=False)

    async def _attempt(self) -> None:
        """Wait for the next attempt to fetch the keys, for `interval_s` at most before it begins."""
        if self._waiting >= _MAX_WAITING:
            raise ProviderUnavailable("too many requests wait for the OpenID provider's keys; send the request again")
        self._waiting += 1
        try:
            await self.refresh()
        finally:
            self._waiting -= 1

    async def refresh(self) -> None:
        """Fetch the keys. Concurrent calls share one attempt, and attempts have `interval_s` between them."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._refresh())
        await asyncio.shield(self._task)

    async def _refresh(self) -> None:
        if self._attempted_at is not None:
            await asyncio.sleep(max(0.0, self._attempted_at + self._interval_s - self._clock()))
        self._attempted_at = self._clock()
        self._begun += 1
        try:
            documents = await self._source.fetch_keys()
        except ProviderFailed as error:
            self.failed += 1
            self._note_failure(error)
            return
        self._keys = usable_keys(documents, self._keys)
        self._fetched_at = self._clock()
        self.fetched += 1
        if self._failing:
            log.info("the OpenID provider answers again")
        self._failing = False

    def _note_failure(self, error: ProviderFailed) -> None:
        """Log the first failure after a success, and the end of the time that the keys are used."""
        if not self._failing or self._last_usable != self.usable:
            log.warning("%s; tokens are %s", error, "verified with the keys before" if self.usable else "refused")
        self._failing, self._last_usable = True, self.usable

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Refresh the keys in the background until the context ends."""
        task = asyncio.create_task(self._refresh_forever())
        try:
            yield
        finally:
            for running in filter(None, (task, self._task)):
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running

    async def _refresh_forever(self) -> None:
        while True:
            failed = self.failed
            await self.refresh()
            await asyncio.sleep(REFRESH_S if self.failed == failed else self._interval_s)

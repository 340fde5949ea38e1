"""Limits concurrent work, and lets waiting clients take turns."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from services.common.clients import LOCAL, Client
from services.gateway.shares.fair_shares import within_share

_MAX_TURNS: Final = 10_000
Waiter = tuple[int, asyncio.Future[None]]


class FairLimiter:
    """Limits the slices in preprocess and cnn, or other units of work.

    Clients take turns: next is the share that was served least recently, and in it the address that was. A client's own
    work is served in its order. The next one is never overtaken, so that a large chunk does not starve.

    Parameters
    ----------
    limit
        of all clients together
    share_weight
        a share that holds some may get more up to this multiple of the free amount; unset, up to the limit
    """

    def __init__(self, limit: int, share_weight: int | None = None) -> None:
        self._limit = self._free = limit
        self._share_weight = share_weight
        self._held: Counter[str] = Counter()
        self._waiting: dict[Client, deque[Waiter]] = {}
        self._turns: dict[str | Client, int] = {}  # the latest turn of a share and of a client
        self._turn = 0

    @asynccontextmanager
    async def acquire(self, amount: int, client: Client = LOCAL) -> AsyncIterator[None]:
        """Hold so much of the limit, or all of it where the limit is lower."""
        wanted = min(amount, self._limit)
        await self._wait(wanted, client)
        try:
            yield
        finally:
            self._hold(client, -wanted)
            self._wake_waiters()

    async def _wait(self, wanted: int, client: Client) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append((wanted, waiter))
        self._wake_waiters()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # acquired in the moment of the cancellation
                self._hold(client, -wanted)
            self._wake_waiters()
            raise

    def _wake_waiters(self) -> None:
        while client := self._next():
            wanted, waiter = self._waiting[client][0]
            if not waiter.cancelled():
                if wanted > self._free:
                    return
                self._hold(client, wanted)
                waiter.set_result(None)
                self._note_turn(client)
            self._waiting[client].popleft()

    def _next(self) -> Client | None:
        """The client whose turn it is; None where none waits whose share has room."""
        self._waiting = {client: waiters for client, waiters in self._waiting.items() if waiters}
        return min(filter(self._may_have_more, self._waiting), key=self._last_turns, default=None)

    def _may_have_more(self, client: Client) -> bool:
        held, (wanted, _) = self._held[client.share], self._waiting[client][0]
        if self._share_weight is None or not held:
            return True
        return within_share(held + wanted, self._free - wanted, self._share_weight)

    def _hold(self, client: Client, amount: int) -> None:
        self._free -= amount
        self._held[client.share] += amount
        if not self._held[client.share]:
            del self._held[client.share]

    def _last_turns(self, client: Client) -> tuple[int, int]:
        return self._turns.get(client.share, 0), self._turns.get(client, 0)

    def _note_turn(self, client: Client) -> None:
        if len(self._turns) >= _MAX_TURNS:
            self._turns.clear()  # of many clients that wait no more
        self._turn += 1
        self._turns[client.share] = self._turns[client] = self._turn

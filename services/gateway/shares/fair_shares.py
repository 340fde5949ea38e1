"""Fair shares of a limited resource, by dynamic thresholds (Choudhury and Hahne, IEEE/ACM Trans. Netw. 6(2), 1998).

A client may hold a multiple of the amount that is free. One client alone then leaves a reserve for the next one, and n
clients converge to equal shares, without a count of clients or a rate.
"""

from collections import Counter

from services.common.clients import Client


def within_share(held: int, free: int, weight: int = 2) -> bool:
    """Whether a client may hold so much while so much is free: alone, weight / (weight + 1) of the limit."""
    return held <= weight * free


class FairShares:
    """Amounts that clients hold of one resource.

    Parameters
    ----------
    limit
        of all clients together
    weight
        a client may hold this multiple of the free amount
    client_limit
        of one client
    """

    def __init__(self, limit: int, weight: int, client_limit: int | None = None) -> None:
        self.limit = limit
        self._weight = weight
        self._client_limit = limit if client_limit is None else client_limit
        self._held: Counter[str] = Counter()
        self.used = 0

    def fits(self, client: Client, more: int, available: int | None = None) -> bool:
        """Whether the client's share has room for more.

        available : the amount that is left for other reasons, such as the free bytes of a disk
        """
        free = self.limit - self.used - more
        free = free if available is None else min(free, available - more)
        after = self._held[client.share] + more
        return after <= self._client_limit and within_share(after, free, self._weight)

    def has_room(self, more: int) -> bool:
        """Whether the limit of all clients has room for more."""
        return self.used + more <= self.limit

    def held(self, client: Client) -> int:
        """The amount that the client holds."""
        return self._held[client.share]

    def add(self, client: Client, amount: int) -> None:
        """Give the client more, or take back a negative amount."""
        self.used += amount
        self._held[client.share] += amount
        if not self._held[client.share]:
            del self._held[client.share]

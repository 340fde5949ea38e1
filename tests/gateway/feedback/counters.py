"""Counters without Redis."""

from collections import defaultdict

from redis.exceptions import ConnectionError as RedisAway


class CountersInMemory:
    """The commands of Redis that count; `away` makes each fail."""

    def __init__(self) -> None:
        self.hashes: dict[str, dict[bytes, bytes]] = defaultdict(dict)
        self.away = False

    def hincrby(self, name: str, key: str, amount: int, /) -> None:
        if self.away:
            raise RedisAway
        found = self.hashes[name]
        found[key.encode()] = b"%d" % (int(found.get(key.encode(), 0)) + amount)

    def hgetall(self, name: str, /) -> dict[bytes, bytes]:
        if self.away:
            raise RedisAway
        return self.hashes[name]

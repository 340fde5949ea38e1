"""Connections to Redis."""

from typing import Final

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from services.gateway.settings import Settings

_CONNECT_TIMEOUT_S: Final = 2.0
_TIMEOUT_S: Final = 5.0
_RETRIES: Final = 2


def connect_redis(settings: Settings) -> Redis:
    """A client whose calls fail within seconds. RQ's workers set their own time-out to wait for tickets."""
    return Redis.from_url(
        settings.redis_url,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_timeout=_TIMEOUT_S,
        retry=Retry(ExponentialBackoff(cap=1, base=0.1), _RETRIES),
    )

"""Redis by its address."""

from typing import Final

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from services.gateway.settings import Settings

_CONNECT_S: Final = 2.0
_ANSWER_S: Final = 5.0


def connect_redis(settings: Settings) -> Redis:
    """A connection that gives up within seconds; RQ's workers, who wait for turns at it, set their own time."""
    return Redis.from_url(
        settings.redis_url,
        socket_connect_timeout=_CONNECT_S,
        socket_timeout=_ANSWER_S,
        retry=Retry(ExponentialBackoff(cap=1, base=0.1), 2),
    )

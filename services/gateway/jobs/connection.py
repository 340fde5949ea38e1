"""Connections to Redis."""

import os
import stat
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from services.common.private_folder import UnsafeFolder
from services.gateway.settings import Settings

_CONNECT_TIMEOUT_S: Final = 2.0
_TIMEOUT_S: Final = 5.0
_RETRIES: Final = 2
_ASYNC_TIMEOUT_S: Final = 0.5
_SOCKET: Final = "unix"
_ROOT: Final = 0


def connect_redis(settings: Settings) -> Redis:
    """A client whose calls fail within seconds. RQ's workers set their own time-out to wait for tickets.

    Raises
    ------
    UnsafeFolder
        the socket is in a shared folder, and another user made its place there
    ValueError
        the file of the password is empty
    """
    url = urlsplit(settings.redis_url)
    if url.scheme == _SOCKET:
        check_socket(Path(unquote(url.path)))
    return Redis.from_url(
        settings.redis_url,
        password=_password(settings.redis_password_file),
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_timeout=_TIMEOUT_S,
        retry=Retry(ExponentialBackoff(cap=1, base=0.1), _RETRIES),
    )


def connect_async_redis(settings: Settings) -> AsyncRedis:
    """A client for the event loop, without repetitions: its callers do without Redis where it fails."""
    return AsyncRedis.from_url(
        settings.redis_url,
        password=_password(settings.redis_password_file),
        socket_connect_timeout=_ASYNC_TIMEOUT_S,
        socket_timeout=_ASYNC_TIMEOUT_S,
        retry=None,
    )


def check_socket(path: Path) -> None:
    """UnsafeFolder where another user could have put the socket there: see `connect_redis`."""
    try:
        owner, shared = path.parent.lstat().st_uid, path.parent.parent.stat().st_mode & stat.S_IWOTH
    except FileNotFoundError:
        return  # Redis has not made it yet
    if shared and owner not in (os.geteuid(), _ROOT):
        raise UnsafeFolder(
            f"{path.parent} belongs to the user with id {owner}, who could answer in the place of Redis: remove it, "
            "or set ICH_GATEWAY_REDIS_URL to another socket"
        )


def _password(path: Path | None) -> str | None:
    if path is None:
        return None
    password = path.read_text().strip()
    if not password:
        raise ValueError(f"{path.name}, named by ICH_GATEWAY_REDIS_PASSWORD_FILE, is empty: write the password there")
    return password

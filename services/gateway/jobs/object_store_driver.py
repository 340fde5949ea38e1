"""The driver of an object storage, from its URL and the environment."""

import os
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from obstore.exceptions import BaseError
from obstore.store import MemoryStore, from_url

from services.gateway.jobs.storage_check import UnusableStorage
from services.gateway.storage_url import checked_storage_url

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_ALLOW_HTTP: Final = ("AWS_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP", "AZURE_ALLOW_HTTP")
_ENDPOINTS: Final = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
    "GOOGLE_BASE_URL",
)
_RETRIES: Final["RetryConfig"] = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=4), "base": 2},
}


def open_store(url: str, read_timeout: timedelta) -> "ObjectStore":
    """The driver of a URL. One URL of memory is one store in this process.

    Raises
    ------
    ValueError
        the URL is of another kind, or holds credentials
    UnusableStorage
        a variable of the environment is invalid, or names an address without TLS
    """
    if checked_storage_url(url).startswith("memory:"):
        return _memory(url)
    allows_http = any(os.environ.get(name, "").lower() == "true" for name in _ALLOW_HTTP)
    plain = [name for name in _ENDPOINTS if os.environ.get(name, "").startswith("http://")]
    if plain and not allows_http:
        raise UnusableStorage(
            f"{plain[0]} is without TLS: name an https address, or set {plain[0].partition('_')[0]}_ALLOW_HTTP=true in "
            "a closed network"
        )
    try:
        return from_url(url, client_options=_client(read_timeout, allow_http=allows_http), retry_config=_RETRIES)
    except (BaseError, ValueError):
        raise UnusableStorage("ICH_GATEWAY_JOBS_URL, or a variable of its object storage, is invalid") from None


def _client(read_timeout: timedelta, *, allow_http: bool) -> "ClientConfig":
    """Given options replace all those of the environment, so `allow_http` is among them."""
    return {
        "connect_timeout": timedelta(seconds=5),
        "read_timeout": read_timeout,
        "timeout": timedelta(minutes=10),
        "allow_http": allow_http,
    }


@cache
def _memory(url: str) -> MemoryStore:  # noqa: ARG001 - the key of the cache
    return MemoryStore()

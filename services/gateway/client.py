"""HTTP client of the gateway's API, for the commands: one retry policy, one wording of errors."""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx

from services.common.lazy_file import UnreadableFile
from services.common.retry_after import retry_after_s
from services.common.retry_policy import RetryPolicy

KEY_NAME: Final = "ICH_KEY"
_TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})
_KEY_REFUSED: Final = frozenset({401, 403})
_CONNECT_S: Final = 5.0
_POLL_S: Final = 0.3


class ClientError(Exception):
    """Ends the command. The message is for its user."""


class UsageError(ClientError):
    """The command line names something unusable: the same command would fail again."""


class GatewayUnavailable(ClientError):
    """No response, or a temporary refusal, until the retry policy gave up."""


class GatewayUnreachable(GatewayUnavailable):
    """No response: no connection, or a time-out."""


class KeyRefused(ClientError):
    """The gateway needs a key, or another one (401, 403)."""


class RequestRefused(ClientError):
    """Any other error response: the same request would be refused again.

    `reasons` holds the files that the problem document names.
    """

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(_error_line(response))
        self.status = response.status_code
        self.reasons: dict[str, str] = {
            file["file"]: file.get("reason", "") for file in parse_object(response).get("files", ())
        }

    def names_file(self, name: str) -> bool:
        """Whether the problem names this file, or an entry of this zip."""
        return any(found == name or found.startswith(f"{name}/") for found in self.reasons)


@dataclass(frozen=True, slots=True)
class GatewayClient:
    """Requests with retries; `notify` gets one line for each delay."""

    http: httpx.Client
    retry: RetryPolicy
    notify: Callable[[str], None] = lambda _: None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request as `httpx.Client.request` does; retry where the error is temporary.

        Raises
        ------
        GatewayUnavailable
            the retry policy gave up.
        KeyRefused
            401 or 403.
        RequestRefused
            any other error response.
        ClientError
            a file of the request is unreadable, or has changed.
        """
        give_up_at = self.clock() + self.retry.give_up_s
        for failures in count(1):
            asked_s = None
            try:
                response = self.http.request(method, path, **arguments)
                if response.status_code not in _TRANSIENT:
                    return _checked(response)
                failure = GatewayUnavailable(f"{self.http.base_url} answered {_error_line(response)}")
                asked_s = retry_after_s(response.headers.get("retry-after", ""))
            except UnreadableFile as error:
                raise ClientError(str(error)) from error
            except httpx.TransportError as error:
                failure = GatewayUnreachable(f"{self.http.base_url} did not answer ({type(error).__name__})")
            self._delay(asked_s or self.retry.delay_s(failures), give_up_at, failure)
        raise AssertionError  # the loop has no end

    def wait_until_ready(self, seconds: float) -> None:
        """Return when the gateway is ready; GatewayUnavailable after so many seconds."""
        replace(self, retry=RetryPolicy(_POLL_S, seconds, max_delay_s=_POLL_S)).request("GET", "/readyz")

    def _delay(self, seconds: float, give_up_at: float, failure: GatewayUnavailable) -> None:
        if self.clock() + seconds > give_up_at:
            raise failure
        self.notify(f"{failure}; next attempt in {seconds:.0f} s")
        self.sleep(seconds)


def connect(url: str, key_file: Path | None, timeout_s: float) -> httpx.Client:
    """An HTTP client that sends the key; UsageError where the key is unusable."""
    timeout = httpx.Timeout(timeout_s, connect=_CONNECT_S)
    return httpx.Client(base_url=url, timeout=timeout, headers=auth_headers(key_file))


def add_gateway_options(parser: argparse.ArgumentParser) -> None:
    """`--url` and `--key-file`. The key itself is no option: the list of processes would show it."""
    parser.add_argument(
        "--url", type=_address, default="http://127.0.0.1:8000", help="address of the gateway (%(default)s)"
    )
    parser.add_argument("--key-file", type=Path, help=f"file with the bearer key (else the variable {KEY_NAME})")


def _address(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as http://127.0.0.1:8000")
    return text


def auth_headers(key_file: Path | None) -> dict[str, str]:
    """The `Authorization` header, or none without a key; UsageError where the key is unusable."""
    try:
        key = (key_file.read_text() if key_file else os.environ.get(KEY_NAME, "")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{key_file}: {getattr(error, 'strerror', None) or 'not a text file'}") from error
    if (key_file and not key) or not (key.isascii() and key.isprintable()):
        raise UsageError(f"{key_file or KEY_NAME} holds no key: it must be one line of ASCII characters")
    return {"authorization": f"Bearer {key}"} if key else {}


def parse_object(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a response; empty where a proxy sent something else."""
    try:
        document = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return document if isinstance(document, dict) else {}


def pluralize(count: int, noun: str) -> str:
    """A count with its noun: "1 file", "2,000 files"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _checked(response: httpx.Response) -> httpx.Response:
    if response.status_code in _KEY_REFUSED:
        raise KeyRefused(f"{_error_line(response)}; give the key by --key-file or in {KEY_NAME}")
    if response.is_error:
        raise RequestRefused(response)
    return response


def _error_line(response: httpx.Response) -> str:
    problem = parse_object(response)
    title = problem.get("title") or response.reason_phrase
    detail = problem.get("detail") or "the response has no problem document"
    return f"{response.status_code} {title}: {detail}"

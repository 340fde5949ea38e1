"""Webhooks: which addresses a job's sender may name, and the message that one is sent. Pure.

Messages are those of Standard Webhooks 1.0 (https://www.standardwebhooks.com): the headers `webhook-id`,
`webhook-timestamp` and `webhook-signature`, the last an HMAC-SHA256 of "<id>.<timestamp>.<body>".
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from services.common.problems import BadRequest
from services.gateway.jobs.schemas import JobDocument

_MARK: Final = "whsec_"
_SECRET_BYTES: Final = range(24, 65)
_TRICKS: Final = (
    "..",
    "//",
    "\\",
    "%2e",
    "%2f",
    "%5c",
)  # what another reader of a path may take for another path
_PORTS: Final = {"https": 443, "http": 80}


class WebhookRefused(BadRequest):
    code = "webhook_refused"
    title = "This address may not be told"


@dataclass(frozen=True, slots=True)
class Message:
    """A request to a webhook."""

    headers: dict[str, str]
    body: bytes


class AllowedWebhooks:
    """Addresses that the site allows: the same scheme, host and port, and a path at or below the one that is listed.

    Plain http only where it is listed as such.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        """ValueError where an address is not one that could be told."""
        self._places = [_place(address) for address in addresses]

    def check(self, address: str) -> None:
        """WebhookRefused where the site doesn't allow it."""
        try:
            origin, path = _place(address)
        except ValueError as error:
            raise WebhookRefused(str(error)) from error
        for allowed, prefix in self._places:
            if origin == allowed and (path == prefix or path.startswith(f"{prefix.rstrip('/')}/")):
                return
        raise WebhookRefused("this site does not allow that address to be told; it has a list of those it does")


def _place(address: str) -> tuple[tuple[str, str, int], str]:
    """Scheme, host and port; and the path."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise ValueError("a webhook is an absolute http or https address") from error
    if url.scheme not in _PORTS or not url.host:
        raise ValueError("a webhook is an absolute http or https address")
    if url.userinfo or url.fragment:
        raise ValueError("a webhook's address has no password and no fragment")
    path = url.raw_path.decode().partition("?")[0]
    if any(trick in path.lower() for trick in _TRICKS) or "\\" in address:
        raise ValueError("a webhook's path is written plainly")
    return (url.scheme, url.host.lower(), url.port or _PORTS[url.scheme]), path or "/"


def read_secret(path: Path) -> bytes:
    """The key of the signatures, of a file with `whsec_` and base64 of 24 to 64 bytes.

    Raises
    ------
    ValueError
        it holds something else; what it holds is not quoted.
    """
    text = path.read_text().strip()
    try:
        secret = base64.b64decode(text.removeprefix(_MARK), validate=True)
    except binascii.Error:
        secret = b""
    if not text.startswith(_MARK) or len(secret) not in _SECRET_BYTES:
        raise ValueError(f"{path.name}: wanted {_MARK} and base64 of 24 to 64 bytes")
    return secret


def message(job: JobDocument, secret: bytes, timestamp: int) -> Message:
    """The message about a job that has ended: ids, counts and codes only. Each retry sends the same id."""
    said = {
        "job": job.id,
        "status": job.status,
        "counts": job.counts.model_dump(),
        "series_present": job.series_present,
        "series_with_warnings": job.series_with_warnings,
        "warnings": [warning.code for warning in job.warnings],
    }
    body = json.dumps(said, separators=(",", ":")).encode()
    message_id = f"msg_{job.id}"
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret, message_id, timestamp, body),
    }
    return Message(headers, body)


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Version and base64."""
    signed = hmac.digest(secret, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"

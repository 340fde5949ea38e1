"""Webhook messages and their signatures, as Standard Webhooks 1.0 defines them (https://www.standardwebhooks.com).

The header `webhook-signature` is an HMAC-SHA256 of "<webhook-id>.<webhook-timestamp>.<body>".
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.gateway.jobs.schemas import JobDocument

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = range(24, 65)


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """Headers and body of the request to a webhook."""

    headers: dict[str, str]
    body: bytes


def read_secret(path: Path) -> bytes:
    """Read the signing key: a file with `whsec_` and base64 of 24 to 64 bytes.

    Raises
    ------
    ValueError
        the file has another form; its content is not quoted
    """
    text = path.read_text().strip()
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        secret = b""
    if not text.startswith(_PREFIX) or len(secret) not in _SECRET_BYTES:
        raise ValueError(f"{path.name}: expected {_PREFIX} and base64 of 24 to 64 bytes")
    return secret


def signed_message(job: JobDocument, secret: bytes, timestamp: int) -> WebhookMessage:
    """The message about a job that has ended: ids, counts and codes only. Retries have the same id.

    Parameters
    ----------
    timestamp
        seconds since 1970, of this attempt
    """
    content = {
        "job": job.id,
        "status": job.status,
        "priority": job.priority,
        "source": job.source,
        "counts": job.counts.model_dump(),
        "series_present": job.series_present,
        "series_with_warnings": job.series_with_warnings,
        "warnings": [warning.code for warning in job.warnings],
    }
    body = json.dumps(content, separators=(",", ":")).encode()
    message_id = f"msg_{job.id}"
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign_webhook(secret, message_id, timestamp, body),
    }
    return WebhookMessage(headers, body)


def sign_webhook(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature: version, comma, base64."""
    digest = hmac.digest(secret, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"

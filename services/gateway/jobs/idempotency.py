"""Compares requests under one Idempotency-Key, and names their differences."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from services.common.problems import Problem
from services.gateway.jobs.schemas import Manifest
from services.gateway.spool import UploadedFile

_SHOWN_OPTIONS: Final = ("priority", "operating_point")


class IdempotencyConflict(Problem):
    status = 409
    code = "idempotency_conflict"
    title = "This Idempotency-Key was used for another request"


def digests(files: Sequence[UploadedFile], *options: str | None) -> dict[str, str]:
    """`files_digest` of names and contents in the order sent, and `digest` of these and the options."""
    lines = [json.dumps([file.name, _sha256(file)]).encode() for file in files]
    whole = hashlib.sha256(" ".join(map(str, options)).encode())
    for line in lines:
        whole.update(line)
    return {"digest": whole.hexdigest(), "files_digest": hashlib.sha256(b"".join(lines)).hexdigest()}


def webhook_digest(address: str | None) -> str | None:
    """SHA-256 of the address, which is not kept in the manifest: it may hold a key."""
    return hashlib.sha256(address.encode()).hexdigest() if address else None


def check_same(first: Manifest, second: Manifest) -> None:
    """IdempotencyConflict where the second request does not repeat the first one."""
    if first.digest == second.digest:
        return
    found = list(_differences(first, second))
    words = " and ".join(map(_words, found)) or "its files or options differ"
    remedy = "repeat that request unchanged, or send another key"
    raise IdempotencyConflict(f"the key belongs to an earlier request: {words}; {remedy}", differences=found)


def _differences(first: Manifest, second: Manifest) -> Iterator[dict[str, Any]]:
    """Nothing where an older version accepted the first request: it kept one digest of all."""
    if first.files_digest is None:
        return
    if first.files_digest != second.files_digest:
        yield {"what": "files"}
    for name in _SHOWN_OPTIONS:
        then, now = getattr(first, name), getattr(second, name)
        if then != now:
            yield {"what": name, "first": then, "now": now}
    if first.webhook_digest != second.webhook_digest:
        yield {"what": "webhook"}


def _words(difference: dict[str, Any]) -> str:
    what = difference["what"]
    if "first" in difference:
        return f"its {what} is {difference['first']}, not {difference['now']}"
    return f"its {what} {'differ' if what == 'files' else 'differs'}"


def _sha256(file: UploadedFile) -> str:
    with file.path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()

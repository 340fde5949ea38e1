"""Whether a request under an Idempotency-Key is the one that the key stands for, and if not, what differs."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from services.common.problems import Problem
from services.gateway.jobs.schemas import Manifest
from services.gateway.spool import UploadedFile

_SHOWN_OPTIONS: Final = ("priority", "operating_point")


class OtherContent(Problem):
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
    """A webhook's address may hold a key: it is compared by this."""
    return hashlib.sha256(address.encode()).hexdigest() if address else None


def check_same(first: Manifest, second: Manifest) -> None:
    """OtherContent where the second request is not the first one once more."""
    if first.digest == second.digest:
        return
    found = list(_differences(first, second))
    words = " and ".join(_words(item) for item in found) or "its files or options differ from those of this request"
    remedy = "send another key with other files or options"
    raise OtherContent(f"the first request with this key is kept: {words}; {remedy}", differences=found)


def _differences(first: Manifest, second: Manifest) -> Iterator[dict[str, Any]]:
    """None where the first one was accepted by a version that did not keep the parts."""
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
    what = difference["what"].replace("_", " ")
    if "first" in difference:
        return f"its {what} is {difference['first']}, not {difference['now']}"
    return f"its {what} {'differ' if what == 'files' else 'differs'}"


def _sha256(file: UploadedFile) -> str:
    with file.path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()

"""Idempotency keys (the header Idempotency-Key): the same key of a sender gives the same job.

keys/<sender>/<SHA-256 of the key>    the id of its job
"""

import hashlib
import json
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from services.common.problems import NotFound, Problem
from services.gateway.jobs.job import Job
from services.gateway.jobs.schemas import Manifest
from services.gateway.jobs.storage import Storage
from services.gateway.uploads.spool import UploadedFile

_SHOWN_OPTIONS: Final = ("priority", "operating_point", "blood", "key_images")


class IdempotencyConflict(Problem):
    status = 409
    code = "idempotency_conflict"
    title = "This Idempotency-Key was used for another request"


class IdempotencyKeys:
    """Which job each key of each sender belongs to."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._jobs: dict[str, Job] = {}  # of each key at the latest sweep, by its path: they are read once

    def find(self, sender: str, key: str, manifest: Manifest) -> Job | None:
        """The job that has this key; IdempotencyConflict where its request differs from the manifest's."""
        path = key_path(sender, key)
        try:
            job = self._job_at(path)
        except FileNotFoundError:
            return None
        try:
            first = job.manifest()
        except NotFound:
            with suppress(FileNotFoundError):
                self._remove(path, job)
            return None
        check_same_request(first, manifest)
        return job

    def claim(self, sender: str, key: str, job: Job, manifest: Manifest) -> Job | None:
        """Give the key to a job, unless a concurrent request with the same key has given it to another: that job."""
        while not self._storage.create(key_path(sender, key), job.id.encode()):
            if other := self.find(sender, key, manifest):
                return other
        return None

    def remove_orphaned(self, paths: Iterable[str], stored: Container[str]) -> None:
        """Remove the keys at these paths of the storage whose jobs were deleted.

        Parameters
        ----------
        paths : all keys
        stored : keys of all jobs, listed after the paths
        """
        before, self._jobs = self._jobs, {}
        for path in paths:
            with suppress(FileNotFoundError):
                job = before.get(path) or self._job_at(path)
                self._jobs[path] = job
                if job.key not in stored and not job.exists():
                    self._remove(path, job)

    def _remove(self, path: str, job: Job) -> None:
        """Remove the key of a deleted job, unless a later job has it: one look, just before."""
        if self._job_at(path).id == job.id:
            self._storage.remove(path)

    def _job_at(self, path: str) -> Job:
        _, sender, _ = path.split("/")
        return Job(self._storage, sender, self._storage.get(path).decode())


def key_path(sender: str, key: str) -> str:
    """The path of a sender's key in the storage."""
    return f"keys/{sender}/{hashlib.sha256(key.encode()).hexdigest()}"


def digests(files: Sequence[UploadedFile], *options: str | None) -> dict[str, str]:
    """`files_digest` of names and contents in the order sent, and `digest` of these and the options."""
    lines = [json.dumps([file.name, _sha256(file)]).encode() for file in files]
    whole = hashlib.sha256(" ".join(map(str, options)).encode())
    for line in lines:
        whole.update(line)
    return {"digest": whole.hexdigest(), "files_digest": hashlib.sha256(b"".join(lines)).hexdigest()}


def webhook_digest(address: str | None) -> str | None:
    """SHA-256 of a webhook's address, which the manifest omits because the address may hold a secret."""
    return hashlib.sha256(address.encode()).hexdigest() if address else None


def check_same_request(first: Manifest, second: Manifest) -> None:
    """IdempotencyConflict where two requests under one key differ."""
    if first.digest == second.digest:
        return
    found = list(_differences(first, second))
    listed = " and ".join(map(_sentence, found)) or "its files or options differ"
    remedy = "repeat that request unchanged, or send another key"
    raise IdempotencyConflict(f"the key belongs to an earlier request: {listed}; {remedy}", differences=found)


def _differences(first: Manifest, second: Manifest) -> Iterator[dict[str, Any]]:
    """Each difference; none for a request of version 0.1.0, which stored one digest of everything."""
    if first.files_digest is None:
        return
    if first.files_digest != second.files_digest:
        yield {"what": "files"}
    for name in _SHOWN_OPTIONS:
        then, now = _shown(getattr(first, name)), _shown(getattr(second, name))
        if then != now:
            yield {"what": name, "first": then, "now": now}
    if first.webhook_digest != second.webhook_digest:
        yield {"what": "webhook"}


def _shown(value: str | bool) -> str:  # noqa: FBT001 - an option as the manifest has it
    return str(value).lower() if isinstance(value, bool) else value


def _sentence(difference: dict[str, Any]) -> str:
    subject = difference["what"]
    if "first" in difference:
        return f"its {subject} is {difference['first']}, not {difference['now']}"
    return f"its {subject} {'differ' if subject == 'files' else 'differs'}"


def _sha256(file: UploadedFile) -> str:
    with file.path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()

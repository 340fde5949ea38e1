"""Factories of jobs in a store, without a gateway; a storage that crashes."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from services.common.schemas import HeadersReport
from services.common.tensors import HEADER_LENGTH, FilePart, Message, bytes_tensor, encode
from services.common.timestamps import utc_now
from services.gateway.jobs.job import Job
from services.gateway.jobs.schemas import Outcome, Plan, PlannedSeries, Priority
from services.gateway.jobs.storage import LocalStorage, Storage
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.uploads.spool import Spool, SpoolFolder, UploadedFile

T = TypeVar("T")
_counter = itertools.count()


def unsynced(folder: Path) -> JobStore:
    """A store in a folder, without fsync; `test_storage.py` tests fsync."""
    return JobStore(LocalStorage(folder, lambda _: None), Spool(folder / "incoming"))


def upload(store: JobStore, folder: Path, files: Mapping[str, bytes], options: JobOptions) -> tuple[Job, bool]:
    """Accept files as a gateway accepts an upload."""
    spool = SpoolFolder(folder / f"upload-{next(_counter)}")
    spool.path.mkdir(parents=True)
    received = []
    for name, content in files.items():
        with spool.create() as file:
            file.write(content)
        received.append(UploadedFile(name, Path(file.name), len(content)))
    return store.accept(spool, received, options)


def job_of(store: JobStore, folder: Path, count: int = 1, sender: str = "ann", priority: Priority = "routine") -> Job:
    """A planned job with this number of series, each of one file."""
    job, _ = upload(
        store,
        folder / "incoming",
        {f"{number}.dcm": b"%d" % number for number in range(count)},
        JobOptions(sender, priority, "default"),
    )
    job.create_plan(*plan_of(count))
    return job


def plan_of(count: int) -> tuple[Plan, Sequence[PlannedSeries]]:
    series = [
        PlannedSeries(study_uid="2.25.1", series_uid=f"2.25.1.{number}", files=(number,), slices=number + 1)
        for number in range(count)
    ]
    return Plan(started=utc_now(), slices=tuple(part.slices for part in series)), series


MODELS = ("9f86d081884c7d65" * 4, "60303ae22b998861" * 4)


def report_of(status: Outcome, number: int = 0, *, present: bool = False, warnings: int = 0, model: int = 0) -> bytes:
    """A report with the members that jobs read; `model` is an index in MODELS."""
    document: dict[str, Any] = {"id": f"{number}", "status": status, "series": None, "slices": []}
    if status == "assessed":
        document["slices"] = [{"predictions": {"any": present}}]
    if status != "failed":
        reason = {"code": "contrast", "detail": "...", "severity": "warn"}
        document |= {"reasons": [reason] * warnings, "model": {"name": f"bundle-{model}", "sha256": MODELS[model]}}
    return json.dumps(document).encode()


def job_of_0_1_0(store: JobStore, root: Path, job_id: str, found: Mapping[str, bytes]) -> Job:
    """A job of sender `ann` as version 0.1.0 stored it, with markers that name the outcome only.

    Parameters
    ----------
    found
        reports by their outcomes; the job has one more series
    """
    folder, count = root / "jobs/ann" / job_id, len(found) + 1
    for name in ("reports", "done", "files"):
        (folder / name).mkdir(parents=True)
    manifest = {"id": job_id, "sender": "ann", "priority": "routine", "operating_point": "default"}
    lines = [{**manifest, "created": "2026-01-01T00:00:00.000Z", "digest": None, "files": count}]
    lines += [{"name": f"{number}.dcm", "number": f"{number:06d}", "size": 1} for number in range(count)]
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    job = store.job("ann", job_id)
    store.mark_open("routine", job)
    job.create_plan(*plan_of(count))
    for number, (status, report) in enumerate(found.items()):
        (folder / f"reports/{number:06d}.json").write_bytes(report)
        (folder / f"done/{number:06d}.{status}").touch()
    return job


def headers_response(report: HeadersReport) -> tuple[dict[str, str], bytes]:
    """Headers and body of preprocess' response of model `series`."""
    header, parts = encode(Message((bytes_tensor("report", [report.model_dump_json().encode()]),)), "outputs")
    body = b"".join([header, *(part for part in parts if not isinstance(part, FilePart))])
    return {HEADER_LENGTH: str(len(header)), "content-length": str(len(body))}, body


class Crash(BaseException):
    """The process dies: no code catches this."""


class CrashingStorage:
    """Passes a number of writing calls, and crashes before or after the next one."""

    def __init__(self, inner: Storage, calls: int, *, after: bool) -> None:
        self._inner = inner
        self._left = calls
        self._after = after

    def _crash(self, call: Callable[[], T]) -> T:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise Crash
        result = call()
        if self._left < 0:
            raise Crash
        return result

    def create(self, key: str, content: bytes) -> bool:
        return self._crash(lambda: self._inner.create(key, content))

    def store_folder(self, folder: Path, key: str) -> None:
        self._crash(lambda: self._inner.store_folder(folder, key))

    def remove(self, key: str) -> None:
        self._crash(lambda: self._inner.remove(key))

    def get(self, key: str) -> bytes:
        return self._inner.get(key)

    def exists(self, key: str) -> bool:
        return self._inner.exists(key)

    def names(self, key: str) -> list[str]:
        return self._inner.names(key)

    def local_copies(self, keys: Sequence[str]) -> AbstractContextManager[list[Path]]:
        return self._inner.local_copies(keys)

    def remove_leftovers(self) -> None:
        self._inner.remove_leftovers()


async def always() -> bool:
    """A listener's credential that stays valid."""
    return True

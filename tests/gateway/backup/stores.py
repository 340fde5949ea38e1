"""Stores of jobs to back up, and their content for comparison."""

from collections.abc import Iterator
from pathlib import Path

from services.gateway.jobs.job import Job
from services.gateway.jobs.outbox import Outbox
from services.gateway.jobs.patient_key import patient_key
from services.gateway.jobs.retention import RetentionClock
from services.gateway.jobs.store import JobOptions, JobStore
from tests.gateway.jobs.factories import job_of, plan_of, report_of, unsynced, upload

ATTACHMENTS = {"blood": b"a map", "image-3": b"a picture"}
KINDS = ("jobs", "open", "keys", "hooks", "clock", "feedback", "patient")
OPTIONS = JobOptions("ann", "urgent", "default", "key", "https://receiver.example.org/")


def filled_store(folder: Path) -> tuple[JobStore, Job, Job]:
    """A store with a finished job of two series, and an accepted one with a key and a webhook."""
    store = unsynced(folder)
    store.recover()
    finished = job_of(store, folder, count=2, sender="bob")
    for number in range(2):
        finished.create_report(number, report_of("assessed", number), ATTACHMENTS)
    store.mark_feedback(finished)
    finished.create_opinion("000000.1795554948123.000000.-.any.agree.present.ann")
    store.close(finished, "routine", "finished")
    accepted, _ = upload(store, folder / "incoming", {"a.dcm": b"1", "b.dcm": b"22"}, OPTIONS)
    Outbox(store.storage).add("ann", accepted.id, str(OPTIONS.webhook))
    RetentionClock(store.storage).tick()
    patient_key(store.storage, None)
    return store, finished, accepted


def content(folder: Path) -> dict[str, bytes]:
    """Every file of the jobs in a folder, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in files(folder)}


def files(folder: Path) -> Iterator[Path]:
    for kind in KINDS:
        yield from (path for path in sorted((folder / kind).rglob("*")) if path.is_file())


def live_a_little(store: JobStore, folder: Path, sender: str, turn: int) -> None:
    """Accept a job and end, cancel or delete it, as gateway and workers do."""
    job, _ = upload(store, folder, {"a.dcm": b"1", "b.dcm": b"2"}, JobOptions(sender, "routine", "default", str(turn)))
    job.create_plan(*plan_of(2))
    job.create_report(0, report_of("assessed", 0), ATTACHMENTS)
    if turn % 3 == 0:
        store.cancel(job, "routine")
    if turn % 3 == 1:
        job.create_report(1, report_of("assessed", 1))
        store.close(job, "routine", "finished")
    if turn % 5 == 0:
        store.close(job, "routine", "finished")
        job.remove()

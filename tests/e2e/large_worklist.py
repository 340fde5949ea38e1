"""A gateway alone, without stages, in front of ten thousand series that were written into its folder."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from services.common.labels import LABELS
from services.common.series_description import SeriesDescription
from services.gateway.jobs.schemas import Plan, PlannedSeries
from services.gateway.jobs.store import JobOptions, JobStore
from tests.gateway.jobs.factories import unsynced, upload
from tests.running import ROOT, free_ports

JOBS: Final = 100
SERIES_OF_A_JOB: Final = 100
SERIES: Final = JOBS * SERIES_OF_A_JOB
_SENDER: Final = "anybody"  # of requests without a key


@contextmanager
def gateway_with_many_series(folder: Path) -> Iterator[str]:
    """The address of a running gateway whose worklist is complete."""
    fill(folder)
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.gateway", "--port", str(port)],
            cwd=ROOT, env={**os.environ, **_settings(folder)}, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            _wait_for_all(url, folder / "log")
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _settings(folder: Path) -> dict[str, str]:
    names = {"JOBS_DIR": folder / "jobs", "SPOOL_DIR": folder / "spool", "DRAIN_S": 0}
    return {f"ICH_GATEWAY_{name}": str(value) for name, value in names.items()}


def _wait_for_all(url: str, log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            page = httpx.get(f"{url}/v1/worklist", params={"limit": 1}).json()
            if page["total"] == SERIES and page["complete"]:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.2)


def fill(folder: Path) -> None:
    """Write finished jobs with reports, as workers do."""
    store, numbers = unsynced(folder / "jobs"), random.Random(7)  # noqa: S311 - no secret
    store.recover()
    for number in range(JOBS):
        _write_job(store, folder, number, numbers)


def _write_job(store: JobStore, folder: Path, number: int, numbers: random.Random) -> None:
    job, _ = upload(store, folder / "incoming", {"a.dcm": b"1"}, JobOptions(_SENDER, "routine", "default"))
    series = [_planned(100 * number + at) for at in range(SERIES_OF_A_JOB)]
    job.create_plan(Plan(started="2026-01-01T00:00:00.000Z", slices=(34,) * SERIES_OF_A_JOB), series)
    for at in range(SERIES_OF_A_JOB):
        job.create_report(at, json.dumps(_report(numbers)).encode())
    store.close(job, "routine", "finished")


def _planned(number: int) -> PlannedSeries:
    description = SeriesDescription(series_description=f"Head {number}", study_description="CT head")
    uid = f"2.25.{10**9 + number}"
    return PlannedSeries(study_uid=uid, series_uid=f"{uid}.1", files=(0,), slices=34, description=description)


def _report(numbers: random.Random) -> dict[str, Any]:
    probabilities = {label: round(numbers.random(), 4) for label in LABELS}
    part = {"probabilities": probabilities, "predictions": {label: p > 0.9 for label, p in probabilities.items()}}
    return {
        "id": "0", "status": "assessed", "reasons": [], "key_slices": [0],
        "series": {"study_instance_uid": "2.25.1", "series_instance_uid": "2.25.2", "slices": 34, **part},
        "slices": [{"index": 0, "file": "a.dcm", "position_mm": 0.0, **part}],
        "model": {"name": "default", "sha256": "9f86d081884c7d65" * 4},
    }  # fmt: skip

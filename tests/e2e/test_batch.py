"""The batch client as a process, interrupted during a run, with the real services and workers."""

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.running import ROOT, Service
from tests.scans import ct_slice

pytestmark = pytest.mark.e2e
SERIES = 36


@pytest.fixture(autouse=True)
def sigint_is_handled() -> Iterator[None]:
    """A background job of a shell ignores SIGINT, and so do the processes that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    for number in range(SERIES):
        folder = tmp_path / "studies" / f"patient-{number // 3}" / f"series-{number}"
        folder.mkdir(parents=True)
        for index in range(2):
            tags = {"series": f"2.25.{8000 + number}", "study": f"2.25.{9000 + number // 3}"}
            content = ct_slice(
                index,
                SeriesInstanceUID=tags["series"],
                StudyInstanceUID=tags["study"],
                SOPInstanceUID=f"{tags['series']}.{index + 1}",
            )
            (folder / f"IM{index}").write_bytes(content)
    return tmp_path / "studies"


def _start(service: Service, studies: Path, out: Path) -> subprocess.Popen[str]:
    folders = [str(studies), str(out)]
    command = [sys.executable, "-m", "services.gateway.batch", *folders, "--url", service.url, "--job-files", "6"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _reports(out: Path) -> int:
    path = out / "reports.ndjson"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _wait_for_another_report(out: Path, before: int) -> None:
    deadline = time.monotonic() + 120
    while _reports(out) <= before:
        assert time.monotonic() < deadline
        time.sleep(0.005)  # reports that are ready at the start arrive together


def test_an_interrupted_run_resumes_and_reports_every_series_once(
    service: Service, studies: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for stop in (signal.SIGKILL, signal.SIGINT):
        before = _reports(out)
        with _start(service, studies, out) as broken:
            _wait_for_another_report(out, before)
            broken.send_signal(stop)
            stderr = broken.communicate(timeout=60)[1]
            assert broken.returncode == (130 if stop == signal.SIGINT else -stop), stderr
            assert ("run the same command again" in stderr) == (stop == signal.SIGINT)
    with _start(service, studies, out) as last:
        summary, _ = last.communicate(timeout=240)
    assert last.returncode == 0
    assert summary.startswith(f"{SERIES} series: {SERIES} assessed, 0 not assessed, 0 failed\n")
    reports = [json.loads(line) for line in (out / "reports.ndjson").read_text().splitlines()]
    expected = sorted(f"2.25.{8000 + number}" for number in range(SERIES))
    assert sorted(report["series"]["series_instance_uid"] for report in reports) == expected
    with (out / "reports.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["series_instance_uid"] for row in rows) == expected
    assert {row["file"].rpartition("/")[0] for row in rows} == {
        f"patient-{number // 3}/series-{number}" for number in range(SERIES)
    }
    jobs = {row["job"] for row in rows}
    assert len(jobs) == SERIES / 3
    remaining = {job["id"] for job in httpx.get(f"{service.url}/v1/jobs", timeout=60).json()["jobs"]}
    assert not jobs & remaining

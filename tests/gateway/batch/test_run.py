import csv
import os
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.gateway.batch.progress import succeeded, summary
from services.gateway.batch.run import RunOptions
from services.gateway.batch.uploads import JobLimits
from services.gateway.client import ClientError, GatewayUnavailable, KeyRefused
from tests.gateway.batch.fake_gateway import FakeGateway, problem
from tests.gateway.batch.runs import OPTIONS, RecordedProgress, reported, run_once, studies, write

SERIES = 5
JOBS = 3
ALL = sorted(f"p{number // 3}/s{number}" for number in range(SERIES))


class Interrupted(Exception):
    """Stands for a interruption cut."""


class Interruption:
    """Interrupts at the checkpoint of that number, or never."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.passed = 0

    def interrupt_at(self, number: int | None) -> None:
        self.at, self.passed = number, 0

    def checkpoint(self) -> None:
        self.passed += 1
        if self.passed - 1 == self.at:
            raise Interrupted


@pytest.fixture
def source(tmp_path: Path) -> Path:
    studies(tmp_path / "source", SERIES)
    return tmp_path / "source"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def _expect_each_job_once(gateway: FakeGateway) -> None:
    assert len(gateway.deleted) == len(set(gateway.deleted)) == JOBS
    assert gateway.jobs == {}


def test_a_folder_becomes_jobs_and_reports(source: Path, out: Path) -> None:
    gateway = FakeGateway()
    write(source, {"notes.txt": b"words"})
    run, progress = run_once(gateway, source, out)
    assert reported(out) == ALL
    assert progress.files == 2 * SERIES + 1
    assert progress.bytes == sum(path.stat().st_size for path in source.rglob("*.*"))
    with (out / "left-out.csv").open(newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["notes.txt"]
    assert list(summary(run.journal.records, run.refused)) == [
        "5 series: 5 assessed, 0 not assessed, 0 failed",
        "1 file in no series (left-out.csv lists the first hundred of each job)",
    ]
    assert succeeded(run.journal.records, run.refused)
    _expect_each_job_once(gateway)


def test_verdicts_and_warnings_are_summed_over_jobs(source: Path, out: Path) -> None:
    run, _ = run_once(FakeGateway(series_present=1, series_with_warnings=2), source, out)
    assert list(summary(run.journal.records, run.refused))[1:] == [
        f"haemorrhage predicted in {JOBS} of them",
        f"warnings in {2 * JOBS} of them",
    ]


def test_a_damaged_file_is_a_failure(source: Path, out: Path) -> None:
    """It may be a slice that a series lacks."""
    write(source, {"p0/s0/damaged.txt": b"words"})
    gateway = FakeGateway(left_out_code="truncated")
    run, _ = run_once(gateway, source, out)
    assert reported(out) == ALL
    assert "1 file of these cannot be read: a series may lack a slice" in summary(run.journal.records, run.refused)
    assert not succeeded(run.journal.records, run.refused)


def test_a_second_run_sends_no_request(source: Path, out: Path) -> None:
    gateway = FakeGateway()
    run_once(gateway, source, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def nothing(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    run_once(FakeGateway(nothing), source, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@given(
    interruptions=st.lists(st.integers(0, 60), max_size=6),
    incomplete=st.binary(max_size=40).filter(lambda tail: b"\n" not in tail),
    max_open_jobs=st.integers(1, 5),
)
@example([0, 16], b"\r\0", 1)  # no line feed
@settings(max_examples=20, deadline=None)
def test_any_sequence_of_interruptions_gives_the_same_reports(
    interruptions: list[int], incomplete: bytes, max_open_jobs: int
) -> None:
    """Interruptions at any checkpoint, each with an incomplete last write."""
    with TemporaryDirectory() as folder:
        source, out = Path(folder, "source"), Path(folder, "out")
        studies(source, SERIES)
        _interrupted(source, out, interruptions, incomplete, RunOptions(OPTIONS.limits, max_open_jobs))


def _interrupted(source: Path, out: Path, interruptions: list[int], incomplete: bytes, options: RunOptions) -> None:
    interruption = Interruption()
    gateway = FakeGateway(checkpoint=interruption.checkpoint)
    for number in interruptions:
        interruption.interrupt_at(number)
        try:
            run_once(gateway, source, out, options=options)
        except Interrupted:
            for path in out.iterdir():
                path.write_bytes(path.read_bytes() + incomplete)
    interruption.interrupt_at(None)
    run_once(gateway, source, out, options=options)
    assert reported(out) == ALL
    _expect_each_job_once(gateway)


def test_an_interruption_at_every_checkpoint_gives_the_same_reports(source: Path, out: Path) -> None:
    interruption = Interruption()
    run_once(FakeGateway(checkpoint=interruption.checkpoint), source, out)
    checkpoints = interruption.passed
    assert checkpoints > 40
    for number in range(checkpoints):
        _interrupted(source, out.with_name(f"out-{number}"), [number], b'{"incomplete', OPTIONS)


def test_the_progress_bar_only_grows_and_ends_full(source: Path, out: Path) -> None:
    updates: list[float] = []
    progress = RecordedProgress()
    progress.checkpoint = lambda: updates.append(progress.files)
    run_once(FakeGateway(), source, out, progress)
    assert updates == sorted(updates)
    assert updates[-1] == 2 * SERIES


def test_no_more_than_the_allowed_number_of_jobs_is_open(source: Path, out: Path) -> None:
    most = 0

    def watch(_: httpx.Request) -> None:
        nonlocal most
        most = max(most, len(gateway.jobs))

    gateway = FakeGateway(watch)
    run_once(gateway, source, out, options=RunOptions(OPTIONS.limits, max_open_jobs=2))
    assert most == 2
    assert reported(out) == ALL


def test_options_are_sent_and_jobs_can_be_kept(source: Path, out: Path) -> None:
    gateway = FakeGateway()
    run_once(
        gateway,
        source,
        out,
        options=RunOptions(OPTIONS.limits, 4, keep=True, priority="urgent", operating_point="sensitive"),
    )
    assert len(gateway.jobs) == JOBS
    sent = {"priority": "urgent", "source": "batch", "operating_point": "sensitive"}
    assert all(job.query == sent for job in gateway.jobs.values())


def test_a_second_run_sends_new_files_and_changed_folders_whole(source: Path, out: Path) -> None:
    gateway = FakeGateway()
    run_once(gateway, source, out)
    write(source, {"p9/s9/0.dcm": b"new"})
    os.utime(source / "p0/s0/1.dcm", ns=(1, 1))
    sent: list[list[str]] = []
    gateway.checkpoint = lambda: sent.extend(job.names for job in gateway.jobs.values())
    run_once(gateway, source, out)
    assert sent[0] == ["p0/s0/0.dcm", "p0/s0/1.dcm", "p9/s9/0.dcm"]
    assert reported(out) == sorted([*ALL, "p0/s0", "p9/s9"])


def test_a_job_that_the_gateway_deleted_is_sent_again_and_reported_once(source: Path, out: Path) -> None:
    gateway = FakeGateway()
    deleted = False

    def delete_after_a_report() -> None:
        nonlocal deleted
        if not deleted and (out / "reports.ndjson").exists() and (out / "reports.ndjson").stat().st_size:
            deleted = True
            for job_id in list(gateway.jobs):
                gateway.delete(job_id)

    gateway.checkpoint = delete_after_a_report
    _, progress = run_once(gateway, source, out, RecordedProgress())
    assert deleted
    assert "the gateway has deleted a job before its reports were read; sending it again" in progress.messages
    assert reported(out) == ALL


def test_a_refused_zip_leaves_the_other_files_of_its_job(source: Path, out: Path) -> None:
    write(source, {"bad.zip": b"PK nonsense"})

    def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST" or b"bad.zip" not in request.content:
            return None
        bad = [{"file": "bad.zip", "code": "bad_archive", "reason": "the zip is damaged"}]
        return problem(422, "bad_archive", "bad.zip: the zip is damaged", files=bad)

    gateway = FakeGateway(refuse)
    run, _ = run_once(gateway, source, out)
    assert reported(out) == ALL
    assert list(run.refused) == ["bad.zip"]
    assert not succeeded(run.journal.records, run.refused)
    assert "refused: bad.zip: 422 bad archive: bad.zip: the zip is damaged" in summary(run.journal.records, run.refused)
    # The next run, perhaps with another gateway, sends it again.
    gateway.intercept = lambda _: None
    run, _ = run_once(gateway, source, out)
    assert not run.refused


def test_a_refused_job_is_reported_and_the_others_continue(source: Path, out: Path) -> None:
    gateway = FakeGateway()
    gateway.intercept = lambda request: (
        problem(413, "too_large", "too much")
        if request.method == "POST" and gateway.uploads == 0 and not _count(gateway)
        else None
    )
    run, progress = run_once(gateway, source, out)
    assert len(run.refused) == 2
    assert len(reported(out)) == SERIES - 2
    assert progress.messages == ["4 files refused: 413 too large: too much"]


def _count(gateway: FakeGateway) -> int:
    gateway.uploads += 1
    return gateway.uploads - 1


def test_a_busy_gateway_is_retried(source: Path, out: Path) -> None:
    calls = count()
    busy = {3: problem(503, "no_space", "the disk is full", {"retry-after": "30"}), 5: httpx.Response(429)}
    gateway = FakeGateway(lambda _: busy.get(next(calls)))
    _, progress = run_once(gateway, source, out)
    assert progress.messages[0] == "http://gateway answered 503 no space: the disk is full; next attempt in 30 s"
    assert reported(out) == ALL


def test_an_unavailable_gateway_ends_the_run_and_the_next_run_resumes(source: Path, out: Path) -> None:
    calls = count()

    def gone(request: httpx.Request) -> httpx.Response | None:
        if next(calls) > 6:
            raise httpx.ConnectError("refused", request=request)
        return None

    gateway = FakeGateway(gone)
    clock = count(step=100)
    with pytest.raises(GatewayUnavailable, match="did not answer"):
        run_once(gateway, source, out, RecordedProgress(), clock=lambda: next(clock))
    gateway.intercept = lambda _: None
    run_once(gateway, source, out)
    assert reported(out) == ALL
    _expect_each_job_once(gateway)


def test_a_refused_key_ends_the_run(source: Path, out: Path) -> None:
    with pytest.raises(KeyRefused, match="401 unauthorized: send a key; give the key by --key-file or in ICH_KEY"):
        run_once(FakeGateway(lambda _: problem(401, "unauthorized", "send a key")), source, out)


def test_a_failed_or_cancelled_job_is_reported(tmp_path: Path, out: Path) -> None:
    write(tmp_path / "source", {"notes.txt": b"words", "a/0.dcm": b"a", "b/0.dcm": b"b"})
    gateway = FakeGateway()

    def cancel(_: httpx.Request) -> None:
        for job in gateway.jobs.values():
            if "b/0.dcm" in job.names:
                job.status, job.reported = "cancelled", []

    gateway.intercept = cancel
    run, progress = run_once(gateway, tmp_path / "source", out, options=RunOptions(JobLimits(1, 1000)))
    assert reported(out) == ["a"]
    assert [message[len("job ") + 29 :] for message in progress.messages] == [
        "failed: its files form no series",
        "cancelled: it was cancelled at the gateway; its finished reports are kept here",
    ]
    lines = list(summary(run.journal.records, run.refused))
    assert lines[2:] == ["1 job failed, of 1 file", "1 job cancelled, of 1 file"]
    assert not succeeded(run.journal.records, run.refused)


def test_the_finished_reports_of_a_cancelled_job_are_written(tmp_path: Path, out: Path) -> None:
    """Series end in any order, so numbers may be missing."""
    write(tmp_path / "source", {f"{name}/0.dcm": name.encode() for name in "abcde"})
    gateway = FakeGateway()

    def cancel(_: httpx.Request) -> None:
        for job in gateway.jobs.values():
            job.status, job.reported = "cancelled", [0, 1, 3, 4]

    gateway.intercept = cancel
    run_once(gateway, tmp_path / "source", out, options=RunOptions(JobLimits(100, 1000)))
    assert reported(out) == ["a", "b", "d", "e"]


def test_warnings_of_a_job_are_logged(source: Path, out: Path) -> None:
    gateway = FakeGateway(warnings=[{"code": "several_models", "detail": "two bundles", "severity": "warn"}])
    _, progress = run_once(gateway, source, out)
    assert [message.partition(": ")[2] for message in progress.messages] == ["two bundles"] * JOBS


def test_a_table_with_other_columns_is_not_continued(source: Path, out: Path) -> None:
    run_once(FakeGateway(), source, out)
    path = out / "reports.csv"
    path.write_bytes(path.read_bytes().replace(b"warnings", b"cautions", 1))
    with pytest.raises(ClientError, match="columns of another version"):
        run_once(FakeGateway(), source, out)


def test_the_summary_of_later_runs_names_failed_series_too(source: Path, out: Path) -> None:
    gateway = FakeGateway(failing=("p0/s1",))
    run, _ = run_once(gateway, source, out)
    (line,) = (line for line in summary(run.journal.records, run.refused, run.details) if line.startswith("failed: "))
    assert line.startswith("failed: series 2 of job ")
    assert line.endswith("(p0/s1): A file cannot be read: 0.dcm: the file is cut")
    run, _ = run_once(FakeGateway(), source, out)
    (later,) = (line for line in summary(run.journal.records, run.refused, run.details) if line.startswith("failed: "))
    assert later == line.replace(": 0.dcm: the file is cut", "; see the reports")
    assert b"0.dcm" not in (out / "state.jsonl").read_bytes()


def test_a_zip_with_a_refused_entry_is_left_out_alone(source: Path, out: Path) -> None:
    write(source, {"p0/bad.zip": b"zip"})

    def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST" or b"bad.zip" not in request.content:
            return None
        return problem(415, "unsupported_archive", "no", files=[{"file": "p0/bad.zip/a.gz", "reason": "a gzip file"}])

    run, _ = run_once(FakeGateway(refuse), source, out)
    assert reported(out) == ALL
    assert list(run.refused) == ["p0/bad.zip"]

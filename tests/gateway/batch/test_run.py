import csv
import os
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.gateway.batch.jobs_client import Unreachable
from services.gateway.batch.progress import all_well, summary
from services.gateway.batch.run import Wishes
from services.gateway.batch.uploads import Bounds
from services.gateway.client import Failure
from tests.gateway.batch.fake_gateway import FakeGateway, problem
from tests.gateway.batch.runs import WISHES, Seen, reported, run_once, studies, write

SERIES = 5
JOBS = 3
ALL = sorted(f"p{number // 3}/s{number}" for number in range(SERIES))


class Cut(Exception):
    """The power went."""


class Power:
    """Goes at the border of that number; stays where there is none."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.passed = 0

    def cut_at(self, number: int | None) -> None:
        self.at, self.passed = number, 0

    def border(self) -> None:
        self.passed += 1
        if self.passed - 1 == self.at:
            raise Cut


@pytest.fixture
def source(tmp_path: Path) -> Path:
    studies(tmp_path / "source", SERIES)
    return tmp_path / "source"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def _sent_once(gateway: FakeGateway) -> None:
    assert len(gateway.removed) == len(set(gateway.removed)) == JOBS
    assert gateway.jobs == {}


def test_a_folder_becomes_jobs_and_reports(source: Path, out: Path) -> None:
    gateway = FakeGateway()
    write(source, {"notes.txt": b"words"})
    run, seen = run_once(gateway, source, out)
    assert reported(out) == ALL
    assert seen.files == 2 * SERIES + 1
    assert seen.bytes == sum(path.stat().st_size for path in source.rglob("*.*"))
    with (out / "left-out.csv").open(newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["notes.txt"]
    assert list(summary(run.journal.records, run.refused)) == [
        "5 series: 5 assessed, 0 not assessed, 0 failed",
        "1 file in no series (the first hundred of each job stand in left-out.csv)",
    ]
    assert all_well(run.journal.records, run.refused)
    _sent_once(gateway)


def test_verdicts_and_warnings_are_summed_over_jobs(source: Path, out: Path) -> None:
    run, _ = run_once(FakeGateway(series_present=1, series_with_warnings=2), source, out)
    assert list(summary(run.journal.records, run.refused))[1:] == [
        f"haemorrhage predicted in {JOBS} of them",
        f"warnings in {2 * JOBS} of them",
    ]


def test_a_damaged_file_is_no_success(source: Path, out: Path) -> None:
    """It may be a slice that a series lacks."""
    write(source, {"p0/s0/damaged.txt": b"words"})
    gateway = FakeGateway(left_out_code="truncated")
    run, _ = run_once(gateway, source, out)
    assert reported(out) == ALL
    assert "1 file of these cannot be read: a series may lack a slice" in summary(run.journal.records, run.refused)
    assert not all_well(run.journal.records, run.refused)


def test_a_second_run_asks_for_nothing(source: Path, out: Path) -> None:
    gateway = FakeGateway()
    run_once(gateway, source, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def nothing(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    run_once(FakeGateway(nothing), source, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@given(
    cuts=st.lists(st.integers(0, 60), max_size=6),
    torn=st.binary(max_size=40).filter(lambda tail: b"\n" not in tail),
    ahead=st.integers(1, 5),
)
@example([0, 16], b"\r\0", 1)  # no end of a line
@settings(max_examples=20, deadline=None)
def test_any_interruptions_give_the_same_reports(cuts: list[int], torn: bytes, ahead: int) -> None:
    """The line or the power goes at any border, and what was written last is torn."""
    with TemporaryDirectory() as folder:
        source, out = Path(folder, "source"), Path(folder, "out")
        studies(source, SERIES)
        _interrupted(source, out, cuts, torn, Wishes(WISHES.bounds, ahead))


def _interrupted(source: Path, out: Path, cuts: list[int], torn: bytes, wishes: Wishes) -> None:
    power = Power()
    gateway = FakeGateway(border=power.border)
    for cut in cuts:
        power.cut_at(cut)
        try:
            run_once(gateway, source, out, wishes=wishes)
        except Cut:
            for path in out.iterdir():
                path.write_bytes(path.read_bytes() + torn)
    power.cut_at(None)
    run_once(gateway, source, out, wishes=wishes)
    assert reported(out) == ALL
    _sent_once(gateway)


def test_every_single_border(source: Path, out: Path) -> None:
    power = Power()
    run_once(FakeGateway(border=power.border), source, out)
    borders = power.passed
    assert borders > 40
    for number in range(borders):
        _interrupted(source, out.with_name(f"out-{number}"), [number], b'{"torn', WISHES)


def test_the_bar_never_goes_back_and_ends_full(source: Path, out: Path) -> None:
    shown: list[float] = []
    seen = Seen()
    seen.border = lambda: shown.append(seen.files)
    run_once(FakeGateway(), source, out, seen)
    assert shown == sorted(shown)
    assert shown[-1] == 2 * SERIES


def test_jobs_wait_for_those_before_them(source: Path, out: Path) -> None:
    most = 0

    def watch(_: httpx.Request) -> None:
        nonlocal most
        most = max(most, len(gateway.jobs))

    gateway = FakeGateway(watch)
    run_once(gateway, source, out, wishes=Wishes(WISHES.bounds, ahead=2))
    assert most == 2
    assert reported(out) == ALL


def test_wishes_are_asked_for_and_jobs_can_be_kept(source: Path, out: Path) -> None:
    gateway = FakeGateway()
    run_once(
        gateway, source, out, wishes=Wishes(WISHES.bounds, 4, keep=True, priority="urgent", operating_point="sensitive")
    )
    assert len(gateway.jobs) == JOBS
    assert all(job.query == {"priority": "urgent", "operating_point": "sensitive"} for job in gateway.jobs.values())


def test_what_came_meanwhile_is_sent_and_what_changed_is_sent_whole(source: Path, out: Path) -> None:
    gateway = FakeGateway()
    run_once(gateway, source, out)
    write(source, {"p9/s9/0.dcm": b"new"})
    os.utime(source / "p0/s0/1.dcm", ns=(1, 1))
    sent: list[list[str]] = []
    gateway.border = lambda: sent.extend(job.names for job in gateway.jobs.values())
    run_once(gateway, source, out)
    assert sent[0] == ["p0/s0/0.dcm", "p0/s0/1.dcm", "p9/s9/0.dcm"]
    assert reported(out) == sorted([*ALL, "p0/s0", "p9/s9"])


def test_a_job_that_the_gateway_forgot_is_sent_again_and_reported_once(source: Path, out: Path) -> None:
    gateway = FakeGateway()
    forgot = False

    def forget_after_a_report() -> None:
        nonlocal forgot
        if not forgot and (out / "reports.ndjson").exists() and (out / "reports.ndjson").stat().st_size:
            forgot = True
            for job_id in list(gateway.jobs):
                gateway.forget(job_id)

    gateway.border = forget_after_a_report
    _, seen = run_once(gateway, source, out, Seen())
    assert forgot
    assert "the gateway has forgotten a job; it is sent again" in seen.said
    assert reported(out) == ALL


def test_a_refused_zip_does_not_take_the_others_with_it(source: Path, out: Path) -> None:
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
    assert not all_well(run.journal.records, run.refused)
    assert "refused: bad.zip: 422 bad archive: bad.zip: the zip is damaged" in summary(run.journal.records, run.refused)
    # It is tried again by the next run, which may meet another gateway.
    gateway.answer_first = lambda _: None
    run, _ = run_once(gateway, source, out)
    assert not run.refused


def test_a_refused_job_is_told_and_the_others_go_on(source: Path, out: Path) -> None:
    gateway = FakeGateway()
    gateway.answer_first = lambda request: (
        problem(413, "too_large", "too much")
        if request.method == "POST" and gateway.uploads == 0 and not _count(gateway)
        else None
    )
    run, seen = run_once(gateway, source, out)
    assert len(run.refused) == 2
    assert len(reported(out)) == SERIES - 2
    assert seen.said == ["4 files refused: 413 too large: too much"]


def _count(gateway: FakeGateway) -> int:
    gateway.uploads += 1
    return gateway.uploads - 1


def test_a_busy_gateway_is_waited_for(source: Path, out: Path) -> None:
    calls = count()
    busy = {3: problem(503, "no_space", "the disk is full", {"retry-after": "30"}), 5: httpx.Response(429)}
    gateway = FakeGateway(lambda _: busy.get(next(calls)))
    _, seen = run_once(gateway, source, out)
    assert seen.said[0] == "http://gateway answered 503: the disk is full; trying again in 30 s"
    assert reported(out) == ALL


def test_a_gateway_that_stays_away_ends_the_run_and_the_next_goes_on(source: Path, out: Path) -> None:
    calls = count()

    def gone(request: httpx.Request) -> httpx.Response | None:
        if next(calls) > 6:
            raise httpx.ConnectError("refused", request=request)
        return None

    gateway = FakeGateway(gone)
    clock = count(step=100)
    with pytest.raises(Unreachable, match="run the same command again"):
        run_once(gateway, source, out, Seen(), clock=lambda: next(clock))
    gateway.answer_first = lambda _: None
    run_once(gateway, source, out)
    assert reported(out) == ALL
    _sent_once(gateway)


def test_a_refused_key_ends_the_run_in_words(source: Path, out: Path) -> None:
    with pytest.raises(Failure, match="give the key in ICH_KEY"):
        run_once(FakeGateway(lambda _: problem(401, "unauthorized", "send a key")), source, out)


def test_a_job_that_fails_or_is_cancelled_is_told(tmp_path: Path, out: Path) -> None:
    write(tmp_path / "source", {"notes.txt": b"words", "a/0.dcm": b"a", "b/0.dcm": b"b"})
    gateway = FakeGateway()

    def cancel(_: httpx.Request) -> None:
        for job in gateway.jobs.values():
            if "b/0.dcm" in job.names:
                job.status, job.reported = "cancelled", []

    gateway.answer_first = cancel
    run, seen = run_once(gateway, tmp_path / "source", out, wishes=Wishes(Bounds(1, 1000)))
    assert reported(out) == ["a"]
    assert [words[len("job ") + 29 :] for words in seen.said] == [
        "failed: no series could be formed of its files",
        "cancelled: somebody cancelled it; its finished reports are kept here",
    ]
    lines = list(summary(run.journal.records, run.refused))
    assert lines[2:] == ["1 job failed, of 1 file", "1 job cancelled, of 1 file"]
    assert not all_well(run.journal.records, run.refused)


def test_a_cancelled_job_leaves_the_reports_that_were_ready(tmp_path: Path, out: Path) -> None:
    """Series end in any order, so there may be gaps between them."""
    write(tmp_path / "source", {f"{name}/0.dcm": name.encode() for name in "abcde"})
    gateway = FakeGateway()

    def cancel(_: httpx.Request) -> None:
        for job in gateway.jobs.values():
            job.status, job.reported = "cancelled", [0, 1, 3, 4]

    gateway.answer_first = cancel
    run_once(gateway, tmp_path / "source", out, wishes=Wishes(Bounds(100, 1000)))
    assert reported(out) == ["a", "b", "d", "e"]


def test_a_job_of_two_bundles_is_told(source: Path, out: Path) -> None:
    gateway = FakeGateway(warnings=[{"code": "several_models", "detail": "two bundles", "severity": "warn"}])
    _, seen = run_once(gateway, source, out)
    assert [words.partition(": ")[2] for words in seen.said] == ["two bundles"] * JOBS


def test_a_table_of_another_version_is_not_gone_on_with(source: Path, out: Path) -> None:
    run_once(FakeGateway(), source, out)
    path = out / "reports.csv"
    path.write_bytes(path.read_bytes().replace(b"warnings", b"cautions", 1))
    with pytest.raises(Failure, match="other columns"):
        run_once(FakeGateway(), source, out)


def test_series_that_failed_are_named_at_the_end_by_later_runs_too(source: Path, out: Path) -> None:
    gateway = FakeGateway(failing=("p0/s1",))
    run, _ = run_once(gateway, source, out)
    (line,) = (line for line in summary(run.journal.records, run.refused, run.details) if line.startswith("failed: "))
    assert line.startswith("failed: series 2 of job ")
    assert line.endswith("(p0/s1): A file cannot be read: 0.dcm: the file is cut")
    run, _ = run_once(FakeGateway(), source, out)
    (later,) = (line for line in summary(run.journal.records, run.refused, run.details) if line.startswith("failed: "))
    assert later == line.replace(": 0.dcm: the file is cut", "; see the reports")
    assert b"0.dcm" not in (out / "state.jsonl").read_bytes()


def test_a_zip_is_left_out_alone_where_a_file_in_it_is_refused(source: Path, out: Path) -> None:
    write(source, {"p0/bad.zip": b"zip"})

    def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST" or b"bad.zip" not in request.content:
            return None
        return problem(415, "unsupported_archive", "no", files=[{"file": "p0/bad.zip/a.gz", "reason": "a gzip file"}])

    run, _ = run_once(FakeGateway(refuse), source, out)
    assert reported(out) == ALL
    assert list(run.refused) == ["p0/bad.zip"]

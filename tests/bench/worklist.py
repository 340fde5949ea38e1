"""The worklist's index: its build from 10,000 ended jobs, its pages, its cost while nothing happens, its latency."""

import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from services.common.labels import LABELS
from services.common.series_description import SeriesDescription
from services.gateway.jobs.schemas import Plan as JobPlan
from services.gateway.jobs.schemas import PlannedSeries
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.settings import Settings
from services.gateway.worklist.query import Filters, Sorting
from services.gateway.worklist.service import PageRequest, Worklist
from tests.bench.figures import Figure, measured
from tests.bench.plan import Plan
from tests.gateway.jobs.factories import job_of, unsynced, upload

_JOBS: Final = 10_000
_REPORT_SLICES: Final = 300  # a report of some 100 kB
_QUERIES: Final[dict[str, tuple[Filters, str, int]]] = {
    "newest first": (Filters(), "received", 0),
    "newest first, from row 9,900": (Filters(), "received", 9900),
    "of one sender": (Filters(sender="ann"), "received", 0),
    "not assessed or failed": (Filters(statuses=("not_assessed", "failed")), "received", 0),
    "subdural predicted": (Filters(labels=("subdural",)), "received", 0),
    "a text in 10 of 10,000": (Filters(text="SERIES 123 "), "received", 0),
    "of one patient": (Filters(patient="f" * 32), "received", 0),
    "a day": (Filters(since="2026-01-01", until="2026-01-02"), "received", 0),
    "by acquisition": (Filters(), "acquired", 0),
    "by description": (Filters(), "description", 0),
    "by status": (Filters(), "status", 0),
    "urgent first": (Filters(), "urgent", 0),
    "by the probability of subdural": (Filters(), "probability:subdural", 0),
}


def measure(plan: Plan) -> Iterator[Figure]:
    """Measure in this process, whose processor time is that of one thread."""
    jobs = plan.choose(_JOBS, 300)
    with tempfile.TemporaryDirectory() as folder:
        store = unsynced(Path(folder) / "jobs")
        store.recover()
        _fill(store, Path(folder), jobs)
        yield from _of_build(Path(folder) / "jobs", store, jobs)
        worklist = _opened(Path(folder) / "jobs", store)
        yield from _of_idle(worklist, plan.choose(200, 5))
        yield from _of_pages(worklist, plan.choose(30, 2))
        worklist.index.close()
        yield from _of_latency(Path(folder) / "jobs", store, plan.choose(30, 2))
        yield _of_older_jobs(Path(folder), plan.choose(300, 5))


def _fill(store: JobStore, folder: Path, jobs: int) -> None:
    numbers = random.Random(7)  # noqa: S311 - no secret
    for job in range(jobs):
        found, _ = upload(store, folder / "incoming", {"a.dcm": b"1"}, JobOptions("ann", "routine", "default"))
        description = SeriesDescription(
            series_description=f"Head series {job % 1000} soft", study_description="CT head", acquired="2026-01-01"
        )
        uid = f"2.25.{numbers.getrandbits(100)}"
        found.create_plan(
            JobPlan(started="2026-01-01T00:00:00.000Z", slices=(34,)),
            [PlannedSeries(study_uid=uid, series_uid=f"{uid}.1", files=(0,), slices=34, description=description)],
        )
        found.create_report(0, json.dumps(_report(numbers, 1)).encode())
        store.close(found, "routine", "finished")


def _report(numbers: random.Random, slices: int) -> dict[str, Any]:
    probabilities = {label: round(numbers.random(), 6) for label in LABELS}
    predictions = {label: value > 0.9 for label, value in probabilities.items()}
    part = {"probabilities": probabilities, "predictions": predictions}
    series = {"study_instance_uid": "2.25.1", "series_instance_uid": "2.25.2", "slices": slices, **part}
    refused = numbers.random() < 0.1
    return {
        "id": "0",
        "status": "not_assessed" if refused else "assessed",
        "reasons": [{"code": "no_brain", "detail": "there is no brain", "severity": "refuse"}] if refused else [],
        "series": series,
        "slices": [{"index": index, "file": f"{index:08}.dcm", "position_mm": 0.0, **part} for index in range(slices)],
        "key_slices": [0],
        "model": {"name": "default", "sha256": "9f86d081884c7d65" * 4},
    }


def _opened(folder: Path, store: JobStore) -> Worklist:
    worklist = Worklist.create(Settings(jobs_dir=folder), store)
    worklist.index.open()
    return worklist


def _of_build(folder: Path, store: JobStore, jobs: int) -> Iterator[Figure]:
    """A build without rests, then one by the thread, which rests half of the time; and a start with the index."""
    worklist, before = _opened(folder, store), _rss_mib()
    core_s = _core_s(lambda: _complete(worklist))
    yield Figure(f"build of the index of {jobs} jobs", core_s, "core-s", bound=30.0)
    yield Figure("one job", core_s / jobs * 1e3, "core-ms")
    yield Figure("memory that it takes", _rss_mib() - before, "MiB", bound=50.0)
    yield Figure("size of the file", worklist.index.database.path.stat().st_size / 2**20, "MiB")
    worklist.index.close()
    worklist = _opened(folder, store)
    yield Figure("start with a complete index", _core_s(lambda: _complete(worklist)), "core-s", bound=2.0)
    worklist.index.close()
    for path in (folder / "worklist").iterdir():
        path.unlink()
    worklist, begin = Worklist.create(Settings(jobs_dir=folder), store), time.perf_counter()
    with worklist.running():
        yield Figure("from the start of the gateway to the first page of jobs", _until_first_page(worklist, begin), "s")
        _wait(lambda: worklist.index.complete)
        yield Figure("to the complete index", time.perf_counter() - begin, "s")


def _until_first_page(worklist: Worklist, begin: float) -> float:
    _wait(lambda: _page(worklist).total >= 100)
    return time.perf_counter() - begin


def _complete(worklist: Worklist) -> None:
    worklist.tracker.look()
    while not worklist.index.complete:
        worklist.tracker.look()


def _of_idle(worklist: Worklist, passes: int) -> Iterator[Figure]:
    _complete(worklist)

    def rescan() -> None:
        worklist.tracker.rescan_soon()
        worklist.tracker.look()

    look_s = statistics.median(_core_s(worklist.tracker.look) for _ in range(passes))
    rescan_s = statistics.median(_core_s(rescan) for _ in range(5))
    times = worklist.tracker.times
    yield Figure("one pass, no job open", look_s * 1e3, "core-ms")
    yield Figure("one listing of all jobs", rescan_s * 1e3, "core-ms")
    share = look_s / times.poll_s + rescan_s / times.rescan_s
    yield Figure("a second without events", share * 1e3, "core-ms", bound=20.0)


def _of_pages(worklist: Worklist, repeats: int) -> Iterator[Figure]:
    for name, (filters, sort, offset) in _QUERIES.items():
        took = [_core_s(lambda: _page(worklist, filters, sort, offset)) * 1e3 for _ in range(repeats)]  # noqa: B023
        yield measured(f"page of 100: {name}", "core-ms", took, bound=30.0)


def _page(worklist: Worklist, filters: Filters | None = None, sort: str = "received", offset: int = 0) -> Any:
    return worklist.page(PageRequest(filters or Filters(), Sorting.parse(sort, None), 100, None, offset, {}))


def _of_latency(folder: Path, store: JobStore, repeats: int) -> Iterator[Figure]:
    """From a report that another process might have stored to its row."""
    job, took = job_of(store, folder.parent, repeats), []
    worklist = Worklist.create(Settings(jobs_dir=folder), store)
    with worklist.running():
        filters = Filters(job=job.id, statuses=("assessed", "not_assessed"))
        _wait(lambda: _page(worklist, Filters(job=job.id)).total == repeats)
        for number in range(repeats):
            job.create_report(number, json.dumps(_report(random.Random(number), 1)).encode())  # noqa: S311
            begin = time.perf_counter()
            _wait(lambda: _page(worklist, filters).total == number + 1)  # noqa: B023
            took.append(time.perf_counter() - begin)
    yield measured("from a report to its row", "s", took, bound=1.0)
    store.close(job, "routine", "finished")


def _of_older_jobs(folder: Path, jobs: int) -> Figure:
    """Jobs of an older version, whose markers hold no summary: each report is read."""
    store = unsynced(folder / "older")
    store.recover()
    for number in range(jobs):
        job = job_of(store, folder)
        job.create_report(0, json.dumps(_report(random.Random(number), _REPORT_SLICES)).encode())  # noqa: S311
        for marker in (folder / "older" / job.key / "done").iterdir():
            marker.write_bytes(b"")
        store.close(job, "routine", "finished")
    worklist = _opened(folder / "older", store)
    core_s = _core_s(lambda: _complete(worklist))
    worklist.index.close()
    return Figure(
        f"one job of an older version, with a report of {_REPORT_SLICES} slices", core_s / jobs * 1e3, "core-ms"
    )


def _core_s(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _wait(is_true: Callable[[], bool]) -> None:
    while not is_true():
        time.sleep(0.005)


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20

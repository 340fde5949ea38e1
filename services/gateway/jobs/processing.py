"""One turn's work: plan a job, or assess one of its series by the very pipeline of the waiting call."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from services.common.acceptance import describe_file_code
from services.common.problems import Problem
from services.common.timestamps import utc_now
from services.common.version import VERSION
from services.gateway.bundle import Bundles, ServedBundle
from services.gateway.jobs.attempts import Attempts
from services.gateway.jobs.job import Job
from services.gateway.jobs.scheduler import Task
from services.gateway.jobs.schemas import FailedReport, FailedSeries, LeftOut, Manifest, Outcome, Plan, PlannedSeries
from services.gateway.pipeline import Assessment, Group, Pipeline, SeriesKey
from services.gateway.predictions import known_point, timings
from services.gateway.report import Stamp, build_report
from services.gateway.settings import Settings
from services.gateway.spool import UploadedFile
from services.gateway.stage_client import StageBusy, StageFault, Stages

T = TypeVar("T")
log = logging.getLogger(__name__)
MAX_LOST_WORKERS: Final = 3
MAX_STAGE_FAULTS: Final = 4
NO_SERIES: Final = "no_series"  # why a job failed whose files are all readable, and none a slice of a series


class Deferred(Exception):
    """A stage is out of order: the task is for a later turn."""


class WorkerLost(Problem):
    status = 500
    code = "worker_lost"
    title = "The series could not be assessed"


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What a task is done with.

    wait_s : before the first try that follows a fault; doubled each time
    max_ticket_s : how long a turn waits in all before the task is given back
    """

    stages: Stages
    settings: Settings
    tries: Attempts
    wait_s: float = 1.0
    max_ticket_s: float = 15.0


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What a task did first: the outcome of a series (None of a plan), and the code of what made it fail."""

    outcome: Outcome | None
    cause: str | None


async def do(task: Task, bench: TaskContext, lost: int) -> TaskResult | None:
    """Do a task and keep what came of it; None where it was done before, or the job is at its end.

    lost : how often it was begun by workers that did not survive it

    Raises
    ------
    Deferred
        a stage is out of order, and nothing is known of the task.
    NotFound
        the job was cancelled and forgotten.
    """
    if task.number is None:
        plan, units = await _plan(task.job, bench, lost)
        return TaskResult(None, _plan_failure(plan)) if task.job.create_plan(plan, units) else None
    outcome, document = await _assess(task, task.job.unit(task.number), bench, lost)
    first = task.job.create_report(task.number, document)
    return TaskResult(outcome, _report_failure(outcome, document)) if first else None


def _plan_failure(plan: Plan) -> str | None:
    if plan.series:
        return None
    return str(plan.problem["code"]) if plan.problem else NO_SERIES


def _report_failure(outcome: Outcome, document: bytes) -> str | None:
    return str(json.loads(document)["problem"]["code"]) if outcome == "failed" else None


async def _plan(job: Job, bench: TaskContext, lost: int) -> tuple[Plan, Sequence[PlannedSeries]]:
    started = utc_now()
    with job.files() as files:
        try:
            _check(lost)
            pipeline = Pipeline(bench.stages, bench.settings, Bundles(bench.stages))
            groups, aside = await _with_retries(lambda: pipeline.group(files), bench)
        except Problem as problem:
            return Plan(started=started, problem=problem.document()), ()
    units = _units(groups)
    left_out = (
        LeftOut(file=files[item.file].name, code=item.code, reason=describe_file_code(item.code, item.tag))
        for item in aside
    )
    return Plan(started=started, slices=tuple(unit.slices for unit in units), left_out=tuple(left_out)), units


def _units(groups: dict[SeriesKey, Group]) -> list[PlannedSeries]:
    """In the order in which their first files were sent."""
    return [
        PlannedSeries(study_uid=study_uid, series_uid=series_uid, files=tuple(found.files), slices=found.slices)
        for (study_uid, series_uid), found in sorted(groups.items(), key=lambda item: min(item[1].files))
    ]


async def _assess(task: Task, unit: PlannedSeries, bench: TaskContext, lost: int) -> tuple[Outcome, bytes]:
    manifest = task.job.manifest()
    begin = time.perf_counter()
    with task.job.files(unit.files) as files:
        try:
            _check(lost)
            assessment, bundle = await _with_retries(lambda: _assessed(files, manifest, bench), bench)
        except Problem as problem:
            return "failed", _failed(task, unit, problem)
    report = build_report(
        assessment,
        [file.name for file in files],
        bundle,
        stamp=Stamp(task.id, utc_now()),
        operating_point=manifest.operating_point,
        timings=timings(assessment.work_ms, upload_s=0.0, total_s=time.perf_counter() - begin),
    )
    return report.status, report.model_dump_json().encode()


async def _assessed(
    files: Sequence[UploadedFile], manifest: Manifest, bench: TaskContext
) -> tuple[Assessment, ServedBundle]:
    bundles = Bundles(bench.stages)
    pipeline = Pipeline(bench.stages, bench.settings, bundles)
    with pipeline.admission.place() as place:
        assessment = await pipeline.assess_upload(files, place)
    wanted = assessment.scores.card_sha256 if assessment.scores else None
    bundle = await bundles.served(wanted)
    known_point(manifest.operating_point, bundle)
    return assessment, bundle


def _failed(task: Task, unit: PlannedSeries, problem: Problem) -> bytes:
    series = FailedSeries(study_instance_uid=unit.study_uid, series_instance_uid=unit.series_uid, slices=unit.slices)
    report = FailedReport(id=task.id, created=utc_now(), version=VERSION, series=series, problem=problem.document())
    return report.model_dump_json().encode()


async def _with_retries(work: Callable[[], Awaitable[T]], bench: TaskContext) -> T:
    """Do it; where a stage is at fault, wait until all are ready and do it again. Faults of the input are raised.

    A stage that is out of order counts as one fault however long it is away; a series that brings each try down has
    only a few.
    """
    end, wait_s = time.monotonic() + bench.max_ticket_s, bench.wait_s
    while True:
        fault = await _unready_stage(bench) if bench.tries.waited_s() else None
        if fault is None:
            try:
                return await work()
            except StageFault as error:
                fault = error
                if bench.tries.fault(counts=not isinstance(error, StageBusy)) >= MAX_STAGE_FAULTS:
                    raise
        if bench.tries.waited_s() > bench.settings.job_patience_s:
            raise fault
        if time.monotonic() + wait_s > end:
            raise Deferred
        log.warning("a stage is at fault", extra={"fields": {"code": fault.code, "wait_s": wait_s}})
        await asyncio.sleep(wait_s)
        wait_s *= 2


async def _unready_stage(bench: TaskContext) -> StageFault | None:
    try:
        await Bundles(bench.stages).check()
    except StageFault as fault:
        return fault
    return None


def _check(lost: int) -> None:
    if lost >= MAX_LOST_WORKERS:
        raise WorkerLost(f"{MAX_LOST_WORKERS} workers in a row did not survive the work on it")

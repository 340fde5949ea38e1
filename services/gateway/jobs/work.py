"""One turn's work: plan a job, or assess one of its series by the very pipeline of the waiting call."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from services.common.problems import Problem
from services.gateway.bundle import Bundles
from services.gateway.faults import why_set_aside
from services.gateway.jobs.lanes import Task
from services.gateway.jobs.schemas import FailedReport, FailedSeries, LeftOut, Manifest, Outcome, Plan, Unit
from services.gateway.jobs.store import Job
from services.gateway.pipeline import Pipeline
from services.gateway.predictions import timings
from services.gateway.report import build_report
from services.gateway.settings import Settings
from services.gateway.stages import StageFault, Stages

T = TypeVar("T")
log = logging.getLogger(__name__)
MAX_TRIES: Final = 3  # of a series that the worker did not survive
NO_SERIES: Final = "no_series"  # why a job failed whose files are all readable, and none a slice of a series
_LONGEST_WAIT_S: Final = 20.0


class WorkerLost(Problem):
    status = 500
    code = "worker_lost"
    title = "The series could not be assessed"


@dataclass(frozen=True, slots=True)
class Bench:
    """What work is done with."""

    stages: Stages
    settings: Settings

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline(self.stages, self.settings)


@dataclass(frozen=True, slots=True)
class Done:
    """What a task did first: the outcome of a series (None of a plan), and the code of what made it fail."""

    outcome: Outcome | None
    cause: str | None


async def do(task: Task, bench: Bench, tries: int) -> Done | None:
    """Do a task and keep what came of it; None where it was done before, or the job is gone."""
    manifest = task.job.manifest()
    if task.number is None or task.unit is None:
        plan = await _plan(task.job, manifest, bench, tries)
        return Done(None, _why_none(plan)) if task.job.put_plan(plan) else None
    outcome, document = await _assess(task.job, manifest, task.number, task.unit, bench, tries=tries)
    first = task.job.put_report(task.number, outcome, document)
    return Done(outcome, _why_failed(outcome, document)) if first else None


def _why_none(plan: Plan) -> str | None:
    if plan.units:
        return None
    return str(plan.problem["code"]) if plan.problem else NO_SERIES


def _why_failed(outcome: Outcome, document: bytes) -> str | None:
    return str(json.loads(document)["problem"]["code"]) if outcome == "failed" else None


async def _plan(job: Job, manifest: Manifest, bench: Bench, tries: int) -> Plan:
    files = job.files(manifest)
    try:
        _check(tries)
        series, set_aside = await _patiently(lambda: bench.pipeline.group(files), bench.settings)
    except Problem as problem:
        return Plan(problem=problem.document())
    units = tuple(
        Unit(study_uid=key[0], series_uid=key[1], files=tuple(found.files), slices=found.slices)
        for key, found in sorted(series.items(), key=lambda item: min(item[1].files))
    )
    left_out = tuple(
        LeftOut(file=files[number].name, code=code, reason=why_set_aside(code)) for number, code in set_aside
    )
    return Plan(units=units, left_out=left_out)


async def _assess(
    job: Job, manifest: Manifest, number: int, unit: Unit, bench: Bench, *, tries: int
) -> tuple[Outcome, bytes]:
    report_id = f"{job.id}-{number:06d}"
    files = job.files(manifest, unit.files)
    begin = time.perf_counter()
    try:
        _check(tries)
        assessment, bundle = await _patiently(lambda: _assessed(files, bench), bench.settings)
    except Problem as problem:
        series = FailedSeries(
            study_instance_uid=unit.study_uid, series_instance_uid=unit.series_uid, slices=unit.slices
        )
        failed = FailedReport(id=report_id, series=series, problem=problem.document())
        return "failed", failed.model_dump_json().encode()
    report = build_report(
        assessment,
        [file.name for file in files],
        bundle,
        report_id=report_id,
        operating_point=manifest.operating_point,
        timings=timings(assessment.work_ms, upload_s=0.0, total_s=time.perf_counter() - begin),
    )
    return report.status, report.model_dump_json().encode()


async def _assessed(files: Sequence[Any], bench: Bench) -> tuple[Any, Any]:
    assessment = await bench.pipeline.assess_upload(files)
    wanted = assessment.scores.card_sha256 if assessment.scores else None
    return assessment, await Bundles(bench.stages).served(wanted)


async def _patiently(work: Callable[[], Awaitable[T]], settings: Settings) -> T:
    """Do it again, ever later, while a stage is at fault; the sender's own faults are raised at once."""
    end, wait_s = time.monotonic() + settings.job_patience_s, 1.0
    while True:
        try:
            return await work()
        except StageFault as fault:
            if time.monotonic() + wait_s > end:
                raise
            log.warning("a stage is at fault; trying again", extra={"fields": {"code": fault.code, "wait_s": wait_s}})
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


def _check(tries: int) -> None:
    if tries > MAX_TRIES:
        raise WorkerLost(f"the worker was lost {MAX_TRIES} times in the middle of it")

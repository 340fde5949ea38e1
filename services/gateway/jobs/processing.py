"""Processes one task: plans a job, or assesses one of its series by the pipeline of synchronous requests."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from services.common.file_codes import describe_file_code
from services.common.problems import Problem
from services.common.report_schemas import Report
from services.common.retry_policy import RetryPolicy
from services.common.series_description import SeriesDescription
from services.common.timestamps import utc_now
from services.common.version import VERSION
from services.gateway.bundle import Bundles
from services.gateway.jobs.attachments import attachments
from services.gateway.jobs.attempts import Attempts
from services.gateway.jobs.job import NO_ATTACHMENTS, Job
from services.gateway.jobs.patient_key import patient_hash
from services.gateway.jobs.scheduler import Task
from services.gateway.jobs.schemas import FailedReport, FailedSeries, LeftOut, Manifest, Outcome, Plan, PlannedSeries
from services.gateway.pipeline import Pipeline
from services.gateway.predictions import check_operating_point, report_timings
from services.gateway.report import ReportIdentity, build_report, with_geometry
from services.gateway.series_grouping import SeriesFiles, SeriesKey, group_series
from services.gateway.settings import Settings
from services.gateway.severities import DEFAULT_SEVERITIES, Severities
from services.gateway.stages.stage_client import Stages
from services.gateway.stages.stage_problems import BundleMismatch, RecipeMismatch, StageBusy, StageFault
from services.gateway.uploads.spool import UploadedFile

T = TypeVar("T")
log = logging.getLogger(__name__)
MAX_LOST_WORKERS: Final = 3
MAX_STAGE_FAULTS: Final = 4
NO_SERIES: Final = "no_series"  # cause of failure of a job whose files are readable and hold no slice of a series
NO_FAULTS_OF_SERIES: Final = (StageBusy, BundleMismatch, RecipeMismatch)  # the last two end with a rollout
RETRY_POLICY: Final = RetryPolicy(first_delay_s=1.0, give_up_s=15.0)


class Deferred(Exception):
    """A stage is unavailable: the task is left for a later ticket."""


class WorkerLost(Problem):
    status = 500
    code = "worker_lost"
    title = "The series could not be assessed"


@dataclass(frozen=True, slots=True)
class TaskContext:
    """Everything that processing a task needs.

    retry : delays between attempts within one ticket; after `give_up_s` the task is deferred
    patient_key : of patients' hashes, which no plan has without it
    """

    stages: Stages
    settings: Settings
    attempts: Attempts
    retry: RetryPolicy = RETRY_POLICY
    severities: Severities = field(default_factory=lambda: DEFAULT_SEVERITIES)
    patient_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Made:
    """A series' report in JSON, or the FailedReport in its place, and the files beside it."""

    outcome: Outcome
    document: bytes
    attachments: Mapping[str, bytes] = field(default_factory=lambda: NO_ATTACHMENTS)
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The outcome of a series (None of a plan), the problem code of a failure, and the report without one."""

    outcome: Outcome | None
    cause: str | None
    report: Report | None = None


async def process_task(task: Task, context: TaskContext, lost_workers: int) -> TaskResult | None:
    """Process a task and store its result; None where another worker has stored one, or the job has ended.

    Parameters
    ----------
    lost_workers
        number of workers that died while they processed this task

    Raises
    ------
    Deferred
        a stage is unavailable
    NotFound
        the job was cancelled and deleted
    """
    if task.number is None:
        plan, series = await _plan(task.job, context, lost_workers)
        return TaskResult(None, _plan_failure(plan)) if task.job.create_plan(plan, series) else None
    made = await _assess(task, task.job.planned_series(task.number), context, lost_workers)
    outcome, document = made.outcome, made.document
    first = task.job.create_report(task.number, document, made.attachments)
    return TaskResult(outcome, _report_failure(outcome, document), made.report) if first else None


def _plan_failure(plan: Plan) -> str | None:
    if plan.series:
        return None
    return str(plan.problem["code"]) if plan.problem else NO_SERIES


def _report_failure(outcome: Outcome, document: bytes) -> str | None:
    return str(json.loads(document)["problem"]["code"]) if outcome == "failed" else None


async def _plan(job: Job, context: TaskContext, lost_workers: int) -> tuple[Plan, Sequence[PlannedSeries]]:
    started = utc_now()
    with job.files() as files:
        try:
            _check_lost_workers(lost_workers)
            groups, aside = await _with_retries(
                lambda: group_series(context.stages.preprocess, files, context.settings), context
            )
        except Problem as problem:
            return Plan(started=started, problem=problem.document()), ()
    series = _planned_series(groups, context)
    left_out = (
        LeftOut(file=files[item.file].name, code=item.code, reason=describe_file_code(item.code, item.tag))
        for item in aside
    )
    return Plan(started=started, slices=tuple(part.slices for part in series), left_out=tuple(left_out)), series


def _planned_series(groups: dict[SeriesKey, SeriesFiles], context: TaskContext) -> list[PlannedSeries]:
    """The series in the order of their first files in the upload."""
    return [
        PlannedSeries(
            study_uid=study_uid,
            series_uid=series_uid,
            files=tuple(found.files),
            slices=found.slices,
            description=_stored_description(found.description, context.settings),
            patient=patient_hash(context.patient_key, found.patient_digest),
        )
        for (study_uid, series_uid), found in sorted(groups.items(), key=lambda item: min(item[1].files))
    ]


def _stored_description(description: SeriesDescription | None, settings: Settings) -> SeriesDescription | None:
    """The description as the site keeps it: without the patient's name unless it is shown."""
    if description is None or settings.show_patient:
        return description
    return description.model_copy(update={"patient_name": None})


async def _assess(task: Task, series: PlannedSeries, context: TaskContext, lost_workers: int) -> _Made:
    manifest = task.job.manifest()
    with task.job.files(series.files) as files:
        try:
            _check_lost_workers(lost_workers)
            return await _with_retries(lambda: _run_pipeline(task, files, manifest, context), context)
        except Problem as problem:
            return _Made("failed", _failed_report(task, series, problem))


async def _run_pipeline(task: Task, files: Sequence[UploadedFile], manifest: Manifest, context: TaskContext) -> _Made:
    begin, bundles = time.perf_counter(), Bundles(context.stages)
    pipeline = Pipeline(context.stages, context.settings, bundles, context.severities)
    with pipeline.admission.reserve() as reservation:
        assessment = await pipeline.assess_upload(files, reservation, blood=manifest.blood)
        bundle = await bundles.served(assessment.scores.card_sha256 if assessment.scores else None)
        report = build_report(
            assessment,
            [file.name for file in files],
            bundle,
            identity=ReportIdentity(task.id, utc_now()),
            operating_point=check_operating_point(manifest.operating_point, bundle),
            timings=report_timings(assessment.work_ms, upload_s=0.0, total_s=time.perf_counter() - begin),
        )
        report = with_geometry(report, assessment.header)
        indices = report.key_slices if manifest.key_images else ()
        pictures = await pipeline.make_pictures(files, assessment, indices, reservation)
    return _Made(
        report.status, report.model_dump_json().encode(), attachments(pictures, assessment.blood), report=report
    )


def _failed_report(task: Task, planned: PlannedSeries, problem: Problem) -> bytes:
    series = FailedSeries(
        study_instance_uid=planned.study_uid, series_instance_uid=planned.series_uid, slices=planned.slices
    )
    report = FailedReport(id=task.id, created=utc_now(), version=VERSION, series=series, problem=problem.document())
    return report.model_dump_json().encode()


async def _with_retries(work: Callable[[], Awaitable[T]], context: TaskContext) -> T:
    """Call `work`; after a fault of a stage, wait until all stages are ready and call it again.

    A stage that is away counts as one fault, however long. A busy stage counts as none, and so do stages of different
    bundles, whose rollout ends. A series that makes a ready stage fail gets MAX_STAGE_FAULTS attempts. Faults of the
    input are raised.
    """
    deadline, failures = time.monotonic() + context.retry.give_up_s, 0
    while True:
        fault = await _unready_stage(context) if context.attempts.waited_s() else None
        if fault is None:
            try:
                return await work()
            except StageFault as error:
                fault = error
                if context.attempts.add_fault(counts=not isinstance(error, NO_FAULTS_OF_SERIES)) >= MAX_STAGE_FAULTS:
                    raise
        if context.attempts.waited_s() > context.settings.job_patience_s:
            raise fault
        failures += 1
        await _back_off(fault, context.retry.delay_s(failures), deadline)


async def _unready_stage(context: TaskContext) -> StageFault | None:
    try:
        await Bundles(context.stages).check()
    except StageFault as fault:
        return fault
    return None


async def _back_off(fault: StageFault, delay_s: float, deadline: float) -> None:
    """Sleep; Deferred where that would pass the deadline."""
    if time.monotonic() + delay_s > deadline:
        raise Deferred
    log.warning("a stage failed; the task is tried again", extra={"fields": {"code": fault.code, "delay_s": delay_s}})
    await asyncio.sleep(delay_s)


def _check_lost_workers(count: int) -> None:
    if count >= MAX_LOST_WORKERS:
        raise WorkerLost(f"{MAX_LOST_WORKERS} workers in a row did not survive the work on it")

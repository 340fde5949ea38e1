"""Jobs as their senders see them."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from services.common.file_codes import UNUSABLE_FILES
from services.common.schemas import Reason
from services.gateway.jobs.job import Job, JobEnd
from services.gateway.jobs.results import SeriesResult, short_hash
from services.gateway.jobs.schemas import OUTCOMES, Counts, JobDocument, JobStatus, LeftOut, Plan, Progress, UsedModel
from services.gateway.jobs.store import JobStore

SEVERAL_MODELS: Final = "several_models"
UNREADABLE_FILES: Final = "unreadable_files"
_MAX_LEFT_OUT: Final = 100


def job_document(store: JobStore, job: Job) -> JobDocument:
    """A job's present state; NotFound where the job is gone."""
    manifest, plan, results, end = job.manifest(), job.plan(), job.results(), job.ended()
    priority = job.priority(manifest)
    unfinished = [other.id for other in store.open_jobs(priority, manifest.sender)]
    counts = Counter(result.outcome for result in results.values())
    left_out = plan.left_out if plan else ()
    models = _models(job.models(), results.values())
    return JobDocument(
        id=job.id,
        status=_status(plan, end),
        priority=priority,
        source=job.source(),
        operating_point=manifest.operating_point,
        files=manifest.files,
        progress=_progress(plan, results),
        counts=Counts(**{outcome: counts[outcome] for outcome in OUTCOMES}),
        series_present=sum(bool(result.present) for result in results.values()),
        series_with_warnings=sum(result.warnings > 0 for result in results.values()),
        models=models,
        warnings=(*_several_models(models), *_unreadable_files(left_out)),
        queue_position=unfinished.index(job.id) if job.id in unfinished and not end else None,
        created=manifest.created,
        started=plan.started if plan else None,
        ended=end.at if end else None,
        left_out=left_out[:_MAX_LEFT_OUT],
        left_out_total=len(left_out),
        problem=plan.problem if plan else None,
    )


def _models(names: Mapping[str, str], results: Iterable[SeriesResult]) -> tuple[UsedModel, ...]:
    counts = Counter(result.model for result in results)
    used = (UsedModel(name=name, sha256=sha256, reports=counts[short_hash(sha256)]) for sha256, name in names.items())
    return tuple(sorted((model for model in used if model.reports), key=lambda model: (-model.reports, model.sha256)))


def _several_models(models: Sequence[UsedModel]) -> Iterator[Reason]:
    """A warning that reports of several bundles are hard to compare."""
    if len(models) > 1:
        listed = ", ".join(f"{model.name} {short_hash(model.sha256)} (reports: {model.reports})" for model in models)
        remedy = "To compare all series, send the files again."
        detail = f"The reports come from {len(models)} bundles: {listed}. {remedy}"
        yield Reason(code=SEVERAL_MODELS, severity="warn", detail=detail)


def _unreadable_files(left_out: Sequence[LeftOut]) -> Iterator[Reason]:
    """A warning that a series may lack a slice: a file with an unreadable header belongs to an unknown series."""
    count = sum(item.code in UNUSABLE_FILES for item in left_out)
    if count:
        subject = "1 file that cannot be read belongs" if count == 1 else f"{count} files that cannot be read belong"
        detail = f"{subject} to no known series: a series may lack slices. Send readable copies in a new job."
        yield Reason(code=UNREADABLE_FILES, severity="warn", detail=detail)


def _status(plan: Plan | None, end: JobEnd | None) -> JobStatus:
    if end:
        return end.status
    return "running" if plan else "queued"


def _progress(plan: Plan | None, results: Collection[int]) -> Progress:
    if plan is None:
        return Progress(series_done=0, series=None, slices_done=0, slices=None)
    done = sum(plan.slices[number] for number in results)
    return Progress(series_done=len(results), series=len(plan.series), slices_done=done, slices=sum(plan.slices))

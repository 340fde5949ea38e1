"""Reads the rows of a job that have changed since it was read last."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.gateway.feedback.schemas import Opinion
from services.gateway.jobs.job import Job, JobEnd, job_not_found
from services.gateway.jobs.schemas import JobSource, Manifest, Plan, Priority
from services.gateway.worklist.rows import JobState, Row, job_row, series_row

Opinions = Callable[[Job], Mapping[int, Mapping[Opinion, int]]]


def no_opinions(_: Job) -> Mapping[int, Mapping[Opinion, int]]:
    """Of jobs without feedback."""
    return {}


@dataclass(slots=True)
class TrackedJob:
    """A job, as it was read last.

    listed : priority under which it is marked open; None where it is not
    done : numbers of series whose results were read
    """

    job: Job
    manifest: Manifest | None = None
    source: JobSource | None = None
    priority: Priority | None = None
    plan: Plan | None = None
    done: set[int] = field(default_factory=set)
    listed: Priority | None = None


@dataclass(frozen=True, slots=True)
class JobReader:
    """Reads jobs, each a little: the plan once, and the summaries of new results.

    show_patient : whether rows hold PatientName
    opinions : counts of readers' opinions on a job's series, by number
    """

    show_patient: bool = False
    opinions: Opinions = no_opinions

    def changed_rows(self, tracked: TrackedJob) -> tuple[list[Row], JobEnd | None]:
        """The changed rows, all at the first call, and the end of the job.

        The end is read first: no result comes after it.

        Raises
        ------
        NotFound
            the job is gone
        ValueError, LookupError, TypeError
            a file of the job has another form
        """
        end = None if tracked.listed else _end_of(tracked.job)
        state, every = self._learn(tracked, end)
        if not (state.plan and state.plan.slices):
            return ([job_row(state)] if every or end else []), end
        markers = tracked.job.markers()
        changed = set(state.plan.series) if every else set(markers) - tracked.done
        if end:
            changed |= set(state.plan.series) - set(markers)
        tracked.done |= set(markers)
        return (self._series_rows(tracked.job, state, sorted(changed), markers) if changed else []), end

    def _series_rows(self, job: Job, state: JobState, numbers: list[int], markers: Mapping[int, str]) -> list[Row]:
        opinions, planned = self.opinions(job), job.planned_series_of(numbers)
        summaries = (job.summary(number, markers[number]) if number in markers else None for number in numbers)
        return [
            series_row(state, number, series, summary, opinions.get(number, {}))
            for number, series, summary in zip(numbers, planned, summaries, strict=True)
        ]

    def _learn(self, tracked: TrackedJob, end: JobEnd | None) -> tuple[JobState, bool]:
        """Read manifest, priority and plan where they are not known; the job's state, and whether all rows change."""
        job, before = tracked.job, (tracked.manifest, tracked.priority, tracked.plan)
        if tracked.manifest is None:
            tracked.manifest, tracked.source = job.manifest(), job.source()
        manifest = tracked.manifest
        priority = tracked.priority = tracked.listed or job.priority(manifest)
        tracked.plan = tracked.plan or job.plan()
        state = JobState(manifest, priority, tracked.plan, end, tracked.source, self.show_patient)
        return state, before != (manifest, priority, tracked.plan)


def _end_of(job: Job) -> JobEnd | None:
    """The end of a job that is not marked open; NotFound where it was deleted."""
    end = job.ended()
    if end is None and not job.exists():
        raise job_not_found()
    return end

"""The worklist: its index, the thread that keeps it, and its pages."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from anyio import to_thread

from services.common.labels import LABELS
from services.common.problems import Problem
from services.gateway.jobs.events import Update
from services.gateway.jobs.patient_key import patient_key
from services.gateway.jobs.store import JobStore
from services.gateway.settings import Settings
from services.gateway.worklist.index import WorklistIndex
from services.gateway.worklist.job_reader import JobReader, Opinions, no_opinions
from services.gateway.worklist.query import Filters, Sorting
from services.gateway.worklist.rows import UNPLANNED
from services.gateway.worklist.schemas import FeedbackCounts, WorklistEntry, WorklistPage
from services.gateway.worklist.tracker import LOCAL_TIMES, REMOTE_TIMES, Tracker

log = logging.getLogger(__name__)
_COUNTS: Final = """count(*) AS total, ifnull(sum(present), 0) AS positive,
    ifnull(sum(status IN ('not_assessed', 'failed')), 0) AS not_assessed,
    ifnull(sum(status IN ('queued', 'running')), 0) AS waiting"""
_SAME: Final = (
    *("job", "status", "received", "reported", "priority", "source", "slices", "warnings", "reason", "reason_detail"),
    *("key_slice", "series_description", "study_description", "acquired", "patient", "patient_name"),
)


class WorklistUnavailable(Problem):
    status = 503
    code = "worklist_unavailable"
    title = "The worklist cannot be read now"
    retry_after_s = 5


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A page: `cursor` from an earlier page, or a number of entries to pass over.

    parameters : of the request, for the address of the next page
    """

    filters: Filters
    sorting: Sorting
    limit: int
    cursor: str | None
    offset: int
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Worklist:
    """The index of all jobs, brought up to date while it runs."""

    index: WorklistIndex
    tracker: Tracker
    store: JobStore
    settings: Settings

    @classmethod
    def create(cls, settings: Settings, store: JobStore, opinions: Opinions = no_opinions) -> "Worklist":
        """In the folder of the settings' jobs.

        opinions : counts of readers' opinions on a job's series, by number
        """
        index = WorklistIndex(settings.jobs_dir, f"show_patient={settings.show_patient}")
        times = REMOTE_TIMES if settings.jobs_url else LOCAL_TIMES
        return cls(index, Tracker(store, index, JobReader(settings.show_patient, opinions), times), store, settings)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Bring the index up to date until the context ends.

        Raises
        ------
        KeyUnusable
            the file of the key of patients' hashes is unusable
        """
        patient_key(self.store.storage, self.settings.patient_key_file)
        self.index.open()
        try:
            with self.tracker.running():
                yield
        finally:
            self.index.close()

    @asynccontextmanager
    async def running_beside(self) -> AsyncIterator[None]:
        """As `running`, for an event loop, which does not wait for the disk."""
        context = self.running()
        await to_thread.run_sync(context.__enter__)
        try:
            yield
        finally:
            await to_thread.run_sync(context.__exit__, None, None, None)

    def page(self, request: PageRequest) -> WorklistPage:
        """A page of entries, with the counts of all entries that match.

        Raises
        ------
        InvalidCursor
            the cursor is broken, or belongs to another order
        WorklistUnavailable
            the index is damaged
        """
        try:
            return self._page(request)
        except sqlite3.DatabaseError as error:
            log.exception("the index of the worklist cannot be read; it is made again")
            self.tracker.replace_soon()
            raise WorklistUnavailable("the index of the worklist is made again; try again in some seconds") from error

    def _page(self, request: PageRequest) -> WorklistPage:
        sorting, (where, parameters) = request.sorting, request.filters.where()
        version = self.index.version(request.filters.sender)  # read first: later changes have later ones
        with self.index.database.reading() as connection:
            counts = connection.execute(f"SELECT {_COUNTS} FROM entries WHERE {where}", parameters).fetchone()  # noqa: S608
            if request.cursor:
                after, more = sorting.after(sorting.place(request.cursor))
                where, parameters = f"{where} AND {after}", parameters | more
            rows = connection.execute(
                f"SELECT *, {sorting.columns()} FROM entries WHERE {where} ORDER BY {sorting.clause()} "  # noqa: S608
                "LIMIT :limit OFFSET :offset",
                parameters | {"limit": request.limit + 1, "offset": request.offset},
            ).fetchall()
        return WorklistPage(
            entries=tuple(map(_entry, rows[: request.limit])),
            next=_next(request, rows[request.limit - 1]) if len(rows) > request.limit else None,
            complete=self.index.complete,
            version=version,
            **dict(counts),
        )

    def update(self, sender: str | None) -> Update:
        """The version of a sender's part of the list, or of the whole list, as an event."""
        return Update("changed", f'{{"version": {self.index.version(sender)}}}')


def _next(request: PageRequest, last: sqlite3.Row) -> str:
    place = [last[f"key_{number}"] for number in range(len(request.sorting.keys))]
    given = {name: value for name, value in request.parameters.items() if name not in ("cursor", "offset")}
    return f"/v1/worklist?{urlencode({**given, 'cursor': request.sorting.cursor(place)})}"


def _entry(row: sqlite3.Row) -> WorklistEntry:
    return WorklistEntry(
        number=None if row["number"] == UNPLANNED else row["number"],
        present=_boolean(row["present"]),
        probabilities=_by_label(row, "p_"),
        predictions={label: bool(row[f"is_{label}"]) for label in LABELS} if row["is_any"] is not None else None,
        blood=bool(row["blood"]),
        feedback=FeedbackCounts(agree=row["agree"], disagree=row["disagree"], uncertain=row["uncertain"]),
        **{name: row[name] for name in _SAME},
    )


def _by_label(row: sqlite3.Row, prefix: str) -> dict[Any, Any] | None:
    found = {label: row[f"{prefix}{label}"] for label in LABELS}
    return found if found["any"] is not None else None


def _boolean(value: int | None) -> bool | None:
    return None if value is None else bool(value)

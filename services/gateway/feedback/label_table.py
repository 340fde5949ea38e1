"""Opinions as rows of labels, in the form that `python -m training evaluate --files STUDIES --labels TABLE` reads."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from services.common.labels import LABELS, Label
from services.common.problems import NotFound
from services.gateway.feedback.opinions import StoredOpinion
from services.gateway.feedback.schemas import LabelRow, OpinionRow
from services.gateway.jobs.job import Job

Rows = Literal["series", "slices", "opinions"]
_KEYS: Final[Mapping[Rows, str]] = {"series": "series_instance_uid", "slices": "sop_instance_uid"}
OPINION_COLUMNS: Final = (
    *("report", "series_instance_uid", "sop_instance_uid", "slice", "label"),
    *("predicted", "opinion", "reader", "at"),
)
JobOpinions = Iterable[tuple[Job, list[StoredOpinion]]]


def label_columns(rows: Rows) -> tuple[str, ...]:
    """The columns of a table of labels."""
    return (_KEYS[rows], *LABELS, "patient", "readers")


def opinion_rows(found: JobOpinions) -> Iterator[OpinionRow]:
    """A row for each opinion."""
    for job, opinions in found:
        reports = _Reports(job)
        for one in opinions:
            with suppress(NotFound):  # deleted meanwhile
                yield OpinionRow(
                    **one.document().model_dump(),
                    report=f"{job.id}-{one.about.number:06d}",
                    series_instance_uid=reports.series_uid(one.about.number),
                    sop_instance_uid=reports.slice_uids(one.about.number).get(one.about.slice),
                )


@dataclass(slots=True)
class _Row:
    """The votes on one series or slice: the latest of each reader on each label."""

    patient: str | None = None
    votes: dict[tuple[Label, str], StoredOpinion] = field(default_factory=dict)

    def add(self, opinion: StoredOpinion) -> None:
        """Keep an opinion, unless the reader has a later one, on the same series in another job."""
        place = opinion.about.label, opinion.reader
        if place not in self.votes or self.votes[place].at_ms <= opinion.at_ms:
            self.votes[place] = opinion

    def label(self, label: Label) -> Literal[0, 1] | None:
        """The majority of the readers who are certain; None for a tie, and without one."""
        votes = Counter(one.present for (name, _), one in self.votes.items() if name == label)
        difference = votes[True] - votes[False]
        return None if difference == 0 else 1 if difference > 0 else 0


def label_rows(found: JobOpinions, rows: Rows) -> list[LabelRow]:
    """A row for each series, or each slice, that readers have an opinion on. Rows without a UID are left out."""
    table: dict[str, _Row] = {}
    for job, opinions in found:
        with suppress(NotFound):  # deleted meanwhile
            _add_job(table, job, [one for one in opinions if (one.about.slice is None) == (rows == "series")])
    return [_label_row(uid, row, rows) for uid, row in sorted(table.items())]


def _add_job(table: dict[str, _Row], job: Job, opinions: list[StoredOpinion]) -> None:
    reports, patients = _Reports(job), _patients(job, sorted({one.about.number for one in opinions}))
    for one in opinions:
        number, index = one.about.number, one.about.slice
        uid = reports.series_uid(number) if index is None else reports.slice_uids(number).get(index)
        if uid:
            row = table.setdefault(uid, _Row())
            row.patient = row.patient or patients.get(number)
            row.add(one)


def _patients(job: Job, numbers: list[int]) -> dict[int, str | None]:
    found = job.planned_series_of(numbers)
    return {number: series.patient for number, series in zip(numbers, found, strict=True)}


def _label_row(uid: str, row: _Row, rows: Rows) -> LabelRow:
    values: dict[str, Any] = {_KEYS[rows]: uid, **{label: row.label(label) for label in LABELS}}
    return LabelRow(**values, patient=row.patient, readers=len({reader for _, reader in row.votes}))


class _Reports:
    """UIDs of a job's reports; each report is read once."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._uids: dict[int, tuple[str | None, Mapping[int | None, str]]] = {}

    def series_uid(self, number: int) -> str | None:
        """SeriesInstanceUID; None for pictures."""
        return self._read(number)[0]

    def slice_uids(self, number: int) -> Mapping[int | None, str]:
        """SOPInstanceUIDs by `index` of the slice, of slices that are an instance of their own."""
        return self._read(number)[1]

    def _read(self, number: int) -> tuple[str | None, Mapping[int | None, str]]:
        if number not in self._uids:
            report = json.loads(self._job.report(number))
            slices = [(one["index"], one.get("sop_instance_uid")) for one in report["slices"]]
            counts = Counter(uid for _, uid in slices)
            single = {index: uid for index, uid in slices if uid and counts[uid] == 1}
            self._uids[number] = (report["series"] or {}).get("series_instance_uid"), single
        return self._uids[number]

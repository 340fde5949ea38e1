"""Filters, orders and cursors against the same list in Python."""

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from services.common.labels import LABELS
from services.common.series_description import SeriesDescription
from services.gateway.jobs.schemas import JobSource, Manifest, Plan, PlannedSeries
from services.gateway.jobs.summaries import SeriesSummary
from services.gateway.worklist.index import Changes
from services.gateway.worklist.query import (
    SORTS,
    Filters,
    InvalidCursor,
    InvalidFilter,
    Sorting,
    parse_since,
    parse_until,
)
from services.gateway.worklist.rows import STATUS_RANKS, JobState, Row, job_row, series_row
from services.gateway.worklist.schemas import WorklistEntry
from services.gateway.worklist.service import Worklist
from tests.gateway.worklist.conftest import page_of

TEXTS = ("Kopf quer", "KOPF 50%", "Head_a", "Schädel ẞ", "a\\b", None)
NUMBERS = random.Random(7)  # noqa: S311 - no secret


def summary(status: str) -> SeriesSummary:
    assessed = status == "assessed"
    probabilities = {label: NUMBERS.choice([0.1, 0.5, NUMBERS.random()]) for label in LABELS}
    predictions = {label: value > 0.5 for label, value in probabilities.items()}
    return SeriesSummary.model_validate(
        {
            **dict.fromkeys(SeriesSummary.model_fields),
            "outcome": status,
            "warnings": NUMBERS.randrange(3),
            "present": any(predictions.values()) if assessed else None,
            "probabilities": probabilities if assessed else None,
            "predictions": predictions if assessed else None,
            "reason": None if assessed else "no_brain",
            "blood": assessed,
        }
    )


def rows_of(number: int) -> list[Row]:
    """The entries of a job with two series, or of a job without."""
    day = 1 + number % 20
    manifest = Manifest(
        id=f"0{number:011x}{NUMBERS.getrandbits(64):016x}",
        sender=NUMBERS.choice(["ann", "bob"]),
        priority=NUMBERS.choice(["urgent", "routine"]),
        operating_point="default",
        created=f"2026-01-{day:02}T0{number % 10}:00:00.000Z",
        files=2,
    )
    source: JobSource | None = NUMBERS.choice(["upload", "batch", "dicom_node", None])
    state = JobState(manifest, manifest.priority, None, None, source)
    if number % 5 == 0:
        return [job_row(state)]
    planned = JobState(manifest, manifest.priority, Plan(started="", slices=(1, 1)), None, source)
    return [series_row(planned, index, _series(), _summary(), {"agree": index}) for index in range(2)]


def _summary() -> SeriesSummary | None:
    status = NUMBERS.choice(["assessed", "assessed", "not_assessed", "failed", None])
    return summary(status) if status else None


def _series() -> PlannedSeries:
    description = SeriesDescription(
        series_description=NUMBERS.choice(TEXTS),
        study_description=NUMBERS.choice(TEXTS),
        acquired=NUMBERS.choice(["2026-01-01", "2026-01-01T08:00:00", "2025-12-31T08:00:00", None]),
    )
    uid = f"2.25.{NUMBERS.getrandbits(40)}"
    return PlannedSeries(
        study_uid=uid,
        series_uid=f"{uid}.1",
        files=(0,),
        slices=1,
        description=NUMBERS.choice([description, None]),
        patient=NUMBERS.choice(["f" * 32, "0" * 32, None]),
    )


@pytest.fixture
def filled(worklist: Worklist) -> Worklist:
    NUMBERS.seed(7)
    worklist.index.apply(Changes(rows=[row for number in range(40) for row in rows_of(number)]))
    return worklist


def _texts(entry: WorklistEntry) -> str:
    return " ".join(filter(None, (entry.series_description, entry.study_description))).casefold()


def _probability(entry: WorklistEntry, label: str) -> float:
    return -entry.probabilities[label] if entry.probabilities else 1  # type: ignore[index] # a label


KEYS: dict[str, Callable[[WorklistEntry], Any]] = {
    "received": lambda _: 0,
    "acquired": lambda entry: -datetime.fromisoformat(entry.acquired or "1970-01-01").timestamp(),
    "description": lambda entry: _texts(entry) or "\U0010ffff",
    "status": lambda entry: STATUS_RANKS[entry.status],
    "urgent": lambda entry: entry.priority != "urgent",
    **{f"probability:{label}": lambda entry, label=label: _probability(entry, label) for label in LABELS},  # type: ignore[misc] # bound
}


def _place(entry: WorklistEntry) -> tuple[Any, ...]:
    newest = [-ord(char) for char in entry.received]
    return newest, entry.job, -1 if entry.number is None else entry.number


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sort", SORTS)
def test_pages_are_the_list_in_its_order(filled: Worklist, sort: str, *, reverse: bool) -> None:
    natural = "asc" if Sorting(sort, "asc").ascending else "desc"
    order = {"asc": "desc", "desc": "asc"}[natural] if reverse else natural
    entries = page_of(filled, sort=sort, order=order).entries
    assert sorted(entries, key=lambda entry: (KEYS[sort](entry), _place(entry)), reverse=reverse) == list(entries)
    found: list[WorklistEntry] = []
    cursor = None
    while True:
        page = page_of(filled, sort=sort, order=order, limit=7, cursor=cursor)
        found += page.entries
        if page.next is None:
            break
        cursor = page.next.partition("cursor=")[2]
    assert found == list(entries)
    assert len(found) == page.total == 72


FILTERS: list[tuple[Filters, Callable[[WorklistEntry], bool]]] = [
    (Filters(statuses=("queued", "failed")), lambda entry: entry.status in ("queued", "failed")),
    (
        Filters(labels=("subdural", "epidural")),
        lambda entry: bool(entry.predictions and (entry.predictions["subdural"] or entry.predictions["epidural"])),
    ),
    (Filters(urgent=True), lambda entry: entry.priority == "urgent"),
    (Filters(urgent=False), lambda entry: entry.priority == "routine"),
    (Filters(present=True), lambda entry: entry.present is True),
    (Filters(present=False), lambda entry: entry.present is False),
    (Filters(source="batch"), lambda entry: entry.source == "batch"),
    (Filters(patient="f" * 32), lambda entry: entry.patient == "f" * 32),
    (Filters(text="50%"), lambda entry: "50%" in _texts(entry)),
    (Filters(text="d_A"), lambda entry: "d_a" in _texts(entry)),
    (Filters(text="SCHÄDEL ß"), lambda entry: "schädel ss" in _texts(entry)),
    (Filters(text="A\\B"), lambda entry: "a\\b" in _texts(entry)),
    (Filters(text="kopf", urgent=True), lambda entry: "kopf" in _texts(entry) and entry.priority == "urgent"),
    (
        Filters(since=parse_since("2026-01-05"), until=parse_until("2026-01-07")),
        lambda entry: "2026-01-05" <= entry.received[:10] <= "2026-01-07",
    ),
    (Filters(until=parse_until("2026-01-05T05:00:00+02:00")), lambda entry: entry.received < "2026-01-05T03"),
]


@pytest.mark.parametrize(("filters", "matches"), FILTERS)
def test_a_filter_leaves_the_entries_that_match(
    filled: Worklist, filters: Filters, matches: Callable[[WorklistEntry], bool]
) -> None:
    every, page = page_of(filled).entries, page_of(filled, filters)
    expected = [entry for entry in every if matches(entry)]
    assert 0 < len(expected) < len(every)
    assert list(page.entries) == expected
    assert page.total == len(expected)
    assert page.positive == sum(bool(entry.present) for entry in expected)
    assert page.not_assessed == sum(entry.status in ("not_assessed", "failed") for entry in expected)
    assert page.waiting == sum(entry.status in ("queued", "running") for entry in expected)


def test_a_sender_and_a_job_have_entries_of_their_own(filled: Worklist) -> None:
    totals = [page_of(filled, Filters(sender=sender)).total for sender in ("ann", "bob", "eve")]
    assert sum(totals) == page_of(filled).total
    assert totals[2] == 0
    job = page_of(filled).entries[3].job
    assert {entry.job for entry in page_of(filled, Filters(job=job)).entries} == {job}


def test_a_new_entry_moves_no_later_page(filled: Worklist) -> None:
    first = page_of(filled, limit=10)
    assert first.next
    cursor = first.next.partition("cursor=")[2]
    second = page_of(filled, limit=10, cursor=cursor).entries
    filled.index.apply(Changes(rows=rows_of(41)))
    assert page_of(filled, limit=10, cursor=cursor).entries == second


@pytest.mark.parametrize(
    "place",
    [
        [],
        [1],
        ["a", "b", "c"],
        [True, "a", 1],
        [None, "a", 1],
        [1.5, "a", 1, 2],
        [[1], "a", 1],
        [1, "a", "b"],
        [2**63, "a", 1],
        [float("nan"), "a", 1],
    ],
)
def test_a_forged_cursor_is_refused(place: list[Any]) -> None:
    with pytest.raises(InvalidCursor):
        Sorting().place(Sorting().cursor(place))


def test_a_cursor_with_half_of_a_surrogate_pair_is_refused() -> None:
    sorting = Sorting("description")
    for place in (["\ud800", 0, "a", 0], ["a", 0, "\udfff", 0]):
        with pytest.raises(InvalidCursor):
            sorting.place(sorting.cursor(place))


@pytest.mark.parametrize("cursor", ["", "!", "WzFd", "bnVsbA", "ew", "A" * 999, "W1tb" * 249, "W10", "[]"])
def test_a_broken_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        Sorting().place(cursor)


def test_a_cursor_of_another_order_is_refused() -> None:
    with pytest.raises(InvalidCursor) as refused:
        Sorting("received", "asc").place(Sorting("received", "desc").cursor([1, "a", 1]))
    assert "another order" in refused.value.detail


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026", "2026-01-01T25:00", "0001-01-01T00:00:00+14:00"])
def test_an_unreadable_time_is_refused(text: str) -> None:
    for parse in (parse_since, parse_until):
        with pytest.raises(InvalidFilter):
            parse(text)

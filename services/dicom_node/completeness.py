"""Decides whether all instances of a series have arrived. Pure.

DICOM has no message that ends a series. A series is complete

- when it has as many instances as its PACS states, or
- when no transfer that sent it is open, every abort was followed by a transfer that sent more or all of it, nothing has
  arrived for some time, its InstanceNumbers have no gap, and its PACS states no other number.

Otherwise it is incomplete after a hard time-out, which counts from its latest instance.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from services.common.schemas import Reason

State = Literal["waiting", "complete", "incomplete"]
TIMED_OUT: Final = "series_timed_out"
_LISTED: Final = 10  # ranges of missing numbers in a text


@dataclass(frozen=True, slots=True)
class TransferState:
    """A transfer that sent instances of the series.

    number : counts the transfers of the node, in the order of their begin
    outcome : None while it is open
    last_begun : number of the latest transfer that had begun when this one ended
    added : instances of the series that it sent first
    sent : instances of the series that it sent, also those that had been received before
    """

    number: int
    outcome: Literal["released", "aborted"] | None
    last_begun: int | None = None
    added: int = 0
    sent: int = 0


@dataclass(frozen=True, slots=True)
class ReceivedSeries:
    """The received part of a series.

    numbers : InstanceNumber and NumberOfFrames of each instance; the number is None where the header has none
    expected : NumberOfSeriesRelatedInstances (0020,1209) at its PACS; None where it is unknown
    removed : instances whose files were removed after an earlier assessment
    quiet_s : time since its latest new instance; a repeated one does not count
    """

    numbers: Sequence[tuple[int | None, int]]
    expected: int | None
    transfers: Sequence[TransferState]
    removed: int
    quiet_s: float


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds without a new instance.

    quiet_s : after which a series may be complete
    unnumbered_quiet_s : the same for instances without an InstanceNumber of their own, whose gaps are invisible
    timeout_s : after which the node stops waiting
    """

    quiet_s: float
    unnumbered_quiet_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Completeness:
    """The verdict, and what is missing or doubtful: it stands in the report of a series that is not waiting."""

    state: State
    warnings: tuple[Reason, ...] = ()


def judge_completeness(series: ReceivedSeries, times: Times) -> Completeness:
    """The state of a series with one instance at least."""
    missing = tuple(_missing(series))
    if not missing and series.expected == len(series.numbers):
        return Completeness("complete")
    faults = (*missing, *_transfer_faults(series))
    if not faults and series.quiet_s >= _quiet_s(series, times):
        return Completeness("complete", tuple(_doubts(series)))
    if series.quiet_s < times.timeout_s:
        return Completeness("waiting", faults)
    return Completeness("incomplete", (_timed_out(times), *faults, *_doubts(series)))


def missing_numbers(numbers: Sequence[tuple[int | None, int]]) -> list[range]:
    """Gaps between InstanceNumbers. The number after a multi-frame instance may be the next, or the next frame's."""
    frames = dict(sorted((number, count) for number, count in numbers if number is not None))
    return [
        range(number + 1, following)
        for (number, count), (following, _) in pairwise(frames.items())
        if following - number not in (1, count)
    ]


def _quiet_s(series: ReceivedSeries, times: Times) -> float:
    unnumbered = _unnumbered(series) and series.expected is None
    return times.unnumbered_quiet_s if unnumbered else times.quiet_s


def _unnumbered(series: ReceivedSeries) -> int:
    """How many instances have no InstanceNumber, or that of another one."""
    used = Counter(number for number, _ in series.numbers)
    return sum(count for number, count in used.items() if number is None or count > 1)


def _missing(series: ReceivedSeries) -> Iterator[Reason]:
    count = len(series.numbers)
    if series.removed:
        yield _warning(
            "files_removed", f"The files of {series.removed} of {count} instances were removed after an assessment."
        )
    if series.expected is not None and count < series.expected:
        yield _warning("instances_missing", f"{count} of {series.expected} instances of the series were received.")
    if series.expected != count and (gaps := missing_numbers(series.numbers)):
        yield _warning("instance_numbers_missing", f"InstanceNumbers are missing: {_ranges(gaps)}.")


def _transfer_faults(series: ReceivedSeries) -> Iterator[Reason]:
    if any(transfer.outcome is None for transfer in series.transfers):
        yield _warning("transfer_open", "A transfer that sent instances of the series is still open.")
    healing = [transfer.number for transfer in series.transfers if _may_heal(transfer, len(series.numbers))]
    if any(_is_unhealed(transfer, max(healing, default=0)) for transfer in series.transfers):
        yield _warning("transfer_aborted", "A transfer of the series was aborted, and no later one sent the rest.")


def _may_heal(transfer: TransferState, instances: int) -> bool:
    """Whether a transfer sent the series on or again; one that repeats a part of it may itself be half a series."""
    return transfer.outcome == "released" and (transfer.added > 0 or transfer.sent >= instances)


def _is_unhealed(transfer: TransferState, healing: int) -> bool:
    """Whether a transfer was aborted, and the latest one that may heal it did not begin after its end."""
    after = transfer.number if transfer.last_begun is None else transfer.last_begun
    return transfer.outcome == "aborted" and healing <= after


def _doubts(series: ReceivedSeries) -> Iterator[Reason]:
    """Warnings about a series that nothing proves incomplete."""
    if series.expected == len(series.numbers):
        return
    found = [number for number, _ in series.numbers if number is not None]
    if found and (first := min(found)) > 1:
        detail = f"InstanceNumbers begin at {first}: slices before it may be missing."
        yield _warning("instance_numbers_begin_late", detail)
    if unnumbered := _unnumbered(series):
        count = f"{unnumbered} of {len(series.numbers)}"
        detail = f"{count} instances have no InstanceNumber of their own: slices may be missing."
        yield _warning("instance_numbers_absent", detail)


def _timed_out(times: Times) -> Reason:
    return _warning(TIMED_OUT, f"The series was not complete {times.timeout_s:g} s after its last instance.")


def _warning(code: str, detail: str) -> Reason:
    return Reason(code=code, detail=detail, severity="warn")


def _ranges(gaps: Sequence[range]) -> str:
    listed = [f"{gap[0]}-{gap[-1]}" if len(gap) > 1 else str(gap[0]) for gap in gaps[:_LISTED]]
    more = len(gaps) - _LISTED
    return ", ".join(listed) + (f" and {more} more ranges" if more > 0 else "")

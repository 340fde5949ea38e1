"""Progress on a terminal, plain lines elsewhere; and the summary at the end."""

import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import Final, Self

from tqdm import tqdm

from services.gateway.batch.journal import Record
from services.gateway.client import pluralize
from services.gateway.jobs.schemas import OUTCOMES

_FORMAT: Final = "{percentage:3.0f} % {bar:20} {n:.0f} of {total} files, {rate_noinv_fmt}, {remaining} left{postfix}"
_SERIES_COUNTS: Final = {"series_present": "haemorrhage predicted", "series_with_warnings": "warnings"}


class ProgressBar:
    """Counts files. Files of earlier runs count for the amount, not for the rate."""

    def __init__(self, total: int, records: Mapping[str, Record]) -> None:
        self._bar = tqdm(
            total=total,
            initial=sum(record.files for record in records.values() if record.end),
            unit=" files",
            disable=None,
            miniters=0,
            smoothing=0,
            file=sys.stderr,
            bar_format=_FORMAT,
            dynamic_ncols=True,
        )
        self._records = records
        self._sent_bytes = 0
        self._activity = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def update(self, files: float, activity: str) -> None:
        self._activity = activity
        self._bar.update(max(files - self._bar.n, 0.0))
        self._draw()

    def add_sent_bytes(self, count: int) -> None:
        self._sent_bytes += count
        self._draw()

    def log(self, message: str) -> None:
        tqdm.write(message, file=sys.stderr)

    def _draw(self) -> None:
        series = sum(record.after + 1 for record in self._records.values())
        parts = [f"{series} series", f"{self._sent_bytes / 1e6:.0f} MB sent", self._activity]
        self._bar.set_postfix_str(", ".join(filter(None, parts)), refresh=False)
        self._bar.update(0)


def summary(
    records: Mapping[str, Record], refused: Mapping[str, str], details: Mapping[str, str] = MappingProxyType({})
) -> Iterator[str]:
    """Lines about all jobs, of this run and earlier ones; `details` of failed series exist for this run only."""
    ends = [record.end for record in records.values() if record.end]
    counts = {outcome: sum(end["counts"].get(outcome, 0) for end in ends) for outcome in OUTCOMES}
    outcomes = ", ".join(f"{count:,} {outcome.replace('_', ' ')}" for outcome, count in counts.items())
    yield f"{sum(counts.values()):,} series: {outcomes}"
    for name, meaning in _SERIES_COUNTS.items():
        if count := sum(end.get(name, 0) for end in ends):
            yield f"{meaning} in {count:,} of them"
    if left_out := sum(end["left_out_total"] for end in ends):
        yield f"{pluralize(left_out, 'file')} in no series (left-out.csv lists the first hundred of each job)"
    if damaged := sum(end.get("damaged", 0) for end in ends):
        yield f"{pluralize(damaged, 'file')} of these cannot be read: a series may lack a slice"
    for status in ("failed", "cancelled", "lost"):
        if jobs := [record for record in records.values() if record.end and record.end["status"] == status]:
            yield f"{pluralize(len(jobs), 'job')} {status}, of {pluralize(sum(job.files for job in jobs), 'file')}"
    for failed in (line for record in records.values() for line in record.failed):
        yield f"failed: {failed}" + (f": {details[failed]}" if failed in details else "; see the reports")
    for name, reason in refused.items():
        yield f"refused: {name}: {reason}"


def succeeded(records: Mapping[str, Record], refused: Mapping[str, str]) -> bool:
    """Whether every file is readable and in a finished job, and no series failed."""
    ends = [record.end for record in records.values() if record.end and record.units]
    return not refused and all(
        end["status"] == "finished" and not end["counts"].get("failed") and not end["damaged"] for end in ends
    )

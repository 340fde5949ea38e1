"""A bar with rate and time left on a terminal, plain lines elsewhere; and what came of it all, in the end."""

import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import Final

from tqdm import tqdm

from services.gateway.batch.journal import Record
from services.gateway.client import counted
from services.gateway.jobs.schemas import OUTCOMES

_SHAPE: Final = "{percentage:3.0f} % {bar:20} {n:.0f} of {total} files, {rate_noinv_fmt}, {remaining} left{postfix}"

_AMONG: Final = {"series_present": "haemorrhage predicted", "series_with_warnings": "warnings"}


class Bar:
    """Counts files; those of runs before count for the amount and not for the rate."""

    def __init__(self, total: int, records: Mapping[str, Record]) -> None:
        self._bar = tqdm(
            total=total,
            initial=sum(record.files for record in records.values() if record.end),
            unit=" files",
            disable=None,
            miniters=0,
            smoothing=0,
            file=sys.stderr,
            bar_format=_SHAPE,
            dynamic_ncols=True,
        )
        self._records = records
        self._sent_bytes = 0
        self._words = ""

    def __enter__(self) -> "Bar":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._bar.close()

    def going_on(self, files: float, words: str) -> None:
        self._words = words
        self._bar.update(max(files - self._bar.n, 0.0))
        self._tell()

    def sent(self, count: int) -> None:
        self._sent_bytes += count
        self._tell()

    def say(self, words: str) -> None:
        tqdm.write(words, file=sys.stderr)

    def _tell(self) -> None:
        series = sum(record.after + 1 for record in self._records.values())
        told = [f"{series} series", f"{self._sent_bytes / 1e6:.0f} MB sent", *([self._words] if self._words else [])]
        self._bar.set_postfix_str(", ".join(told), refresh=False)
        self._bar.update(0)


def summary(
    records: Mapping[str, Record], refused: Mapping[str, str], details: Mapping[str, str] = MappingProxyType({})
) -> Iterator[str]:
    """What came of all jobs, of this run and those before; `details` of failed series are known of this run."""
    ends = [record.end for record in records.values() if record.end]
    counts = {outcome: sum(end["counts"].get(outcome, 0) for end in ends) for outcome in OUTCOMES}
    words = ", ".join(f"{count:,} {outcome.replace('_', ' ')}" for outcome, count in counts.items())
    yield f"{sum(counts.values()):,} series: {words}"
    for name, what in _AMONG.items():
        if count := sum(end.get(name, 0) for end in ends):
            yield f"{what} in {count:,} of them"
    if left_out := sum(end["left_out_total"] for end in ends):
        yield f"{counted(left_out, 'file')} in no series (the first hundred of each job stand in left-out.csv)"
    if damaged := sum(end.get("damaged", 0) for end in ends):
        yield f"{counted(damaged, 'file')} of these cannot be read: a series may lack a slice"
    for status in ("failed", "cancelled", "lost"):
        if jobs := [record for record in records.values() if record.end and record.end["status"] == status]:
            yield f"{counted(len(jobs), 'job')} {status}, of {counted(sum(job.files for job in jobs), 'file')}"
    for failed in (words for record in records.values() for words in record.failed):
        yield f"failed: {failed}" + (f": {details[failed]}" if failed in details else "; see the reports")
    for name, why in refused.items():
        yield f"refused: {name}: {why}"


def all_well(records: Mapping[str, Record], refused: Mapping[str, str]) -> bool:
    """Whether every file went into a job that finished and could be read, and no series failed."""
    ends = [record.end for record in records.values() if record.end and record.units]
    return not refused and all(
        end["status"] == "finished" and not end["counts"].get("failed") and not end["damaged"] for end in ends
    )

"""Results of series as names of marker files, so that one listing counts a job of 50,000 series.

000012.assessed.present.2.9f86d081884c    number, outcome, verdict, warnings, bundle
000012.assessed                           as version 0.1.0 wrote it
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self

from services.gateway.jobs.schemas import OUTCOMES, Outcome

_NONE: Final = "-"
_VERDICT_NAMES: Final = {True: "present", False: "absent", None: _NONE}
_VERDICTS: Final = {name: verdict for verdict, name in _VERDICT_NAMES.items()}
_HASH_DIGITS: Final = 12
_RESULT_PARTS: Final = 3  # verdict, warnings, bundle
_CACHED_NAMES: Final = 1024


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """The result in a report.

    present : whether a haemorrhage of any kind is predicted; None unless the series was assessed
    warnings : number of reasons of severity `warn`
    model : first 12 digits of the SHA-256 of the bundle's card; None where the report names no bundle
    """

    outcome: Outcome
    present: bool | None = None
    warnings: int = 0
    model: str | None = None

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Self:
        """From a report, or from the FailedReport in its place."""
        outcome: Outcome = report["status"]
        return cls(
            outcome,
            _is_present(report) if outcome == "assessed" else None,
            sum(reason["severity"] == "warn" for reason in report.get("reasons", ())),
            short_hash(sha256) if (sha256 := model_of(report)[0]) else None,
        )

    def name(self, number: int) -> str:
        """Name of the marker for the series of this number."""
        return f"{number:06d}.{self.outcome}.{_VERDICT_NAMES[self.present]}.{self.warnings}.{self.model or _NONE}"


def parse_marker(name: str) -> tuple[int, Outcome, SeriesResult | None] | None:
    """Number, outcome and result from a marker's name.

    The result is None in a name of version 0.1.0; the return value is None for any other file.
    """
    number, _, rest = name.partition(".")
    found = _parse_result(rest)
    return (int(number), *found) if found else None


@lru_cache(_CACHED_NAMES)
def _parse_result(rest: str) -> tuple[Outcome, SeriesResult | None] | None:
    """Parse a name without its number. A job of any size has few different ones, so they are cached."""
    outcome, *more = rest.split(".")
    if outcome not in OUTCOMES:
        return None
    if len(more) < _RESULT_PARTS:
        return outcome, None
    verdict, warnings, model = more[:_RESULT_PARTS]
    return outcome, SeriesResult(outcome, _VERDICTS[verdict], int(warnings), None if model == _NONE else model)


def model_of(report: Mapping[str, Any]) -> tuple[str, str]:
    """SHA-256 and name of a report's bundle; two empty strings where the report names none."""
    model = report.get("model") or {}
    sha256 = str(model.get("sha256", ""))
    return (sha256, str(model.get("name", ""))) if sha256.isalnum() else ("", "")


def short_hash(sha256: str) -> str:
    """The short form in markers and messages."""
    return sha256[:_HASH_DIGITS]


def _is_present(report: Mapping[str, Any]) -> bool:
    """Whether a label is predicted in the series, or in any picture where the pictures are no series."""
    series, slices = report.get("series"), report.get("slices", ())
    return any(any((part.get("predictions") or {}).values()) for part in ([series] if series else slices))

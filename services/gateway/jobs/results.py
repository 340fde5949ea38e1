"""Results of series, short enough for file names: one listing counts a job of 50,000 series.

000012.assessed.present.2.9f86d081884c    number, outcome, verdict, warnings, bundle
000012.assessed                           the form of versions up to 0.1.0
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self

from services.gateway.jobs.schemas import OUTCOMES, Outcome

_NONE: Final = "-"
_PRESENT: Final = {True: "present", False: "absent", None: _NONE}
_VERDICTS: Final = {word: verdict for verdict, word in _PRESENT.items()}
_SHORT: Final = 12
_PARTS: Final = 3  # verdict, warnings, bundle
_KEPT: Final = 1024


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """The result in a report.

    present : whether a haemorrhage of any kind is predicted; None where nothing was assessed
    warnings : number of reasons of severity `warn`
    model : first 12 digits of the SHA-256 of the bundle's card; None where the report names no bundle
    """

    outcome: Outcome
    present: bool | None = None
    warnings: int = 0
    model: str | None = None

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Self:
        """Of a report, or of the document that stands in its place where the series failed."""
        outcome: Outcome = report["status"]
        return cls(
            outcome,
            _present(report) if outcome == "assessed" else None,
            sum(reason["severity"] == "warn" for reason in report.get("reasons", ())),
            short_hash(sha256) if (sha256 := model_of(report)[0]) else None,
        )

    def name(self, number: int) -> str:
        """Name of the marker of the series of that number."""
        return f"{number:06d}.{self.outcome}.{_PRESENT[self.present]}.{self.warnings}.{self.model or _NONE}"


def parse(name: str) -> tuple[int, Outcome, SeriesResult | None] | None:
    """Number, outcome and result by a marker's name; no result in names of older versions, None for other files."""
    number, _, rest = name.partition(".")
    found = _parse(rest)
    return (int(number), *found) if found else None


@lru_cache(_KEPT)
def _parse(rest: str) -> tuple[Outcome, SeriesResult | None] | None:
    """The name behind the number; a job of any size has few of them, so they are cached."""
    outcome, *more = rest.split(".")
    if outcome not in OUTCOMES:
        return None
    if len(more) < _PARTS:
        return outcome, None
    verdict, warnings, model = more[:_PARTS]
    return outcome, SeriesResult(outcome, _VERDICTS[verdict], int(warnings), None if model == _NONE else model)


def model_of(report: Mapping[str, Any]) -> tuple[str, str]:
    """SHA-256 and name of the bundle of a report; two empty strings where the report names none."""
    model = report.get("model") or {}
    sha256 = str(model.get("sha256", ""))
    return (sha256, str(model.get("name", ""))) if sha256.isalnum() else ("", "")


def short_hash(sha256: str) -> str:
    """The form in markers and messages."""
    return sha256[:_SHORT]


def _present(report: Mapping[str, Any]) -> bool:
    """Of the series; of any slice, where the slices are no series."""
    series, slices = report.get("series"), report.get("slices", ())
    return any(any((part.get("predictions") or {}).values()) for part in ([series] if series else slices))

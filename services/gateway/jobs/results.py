"""What became of a series, small enough for the name of a file: a job of 50,000 series is counted by one listing.

000012.assessed.present.2.9f86d081884c    number, outcome, verdict, warnings, bundle
000012.assessed                           as versions before this one wrote it
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
    """What a report says, in short.

    present : whether a haemorrhage is predicted, of any kind; None where nothing was assessed
    warnings : reasons of severity `warn`
    model : the first digits of the SHA-256 of the bundle's card; None where no bundle was asked
    """

    outcome: Outcome
    present: bool | None = None
    warnings: int = 0
    model: str | None = None

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Self:
        """By a report, or by the document in place of one."""
        outcome: Outcome = report["status"]
        return cls(
            outcome,
            _present(report) if outcome == "assessed" else None,
            sum(reason["severity"] == "warn" for reason in report.get("reasons", ())),
            short(sha256) if (sha256 := model_of(report)[0]) else None,
        )

    def name(self, number: int) -> str:
        """Of the marker of the series of that number."""
        return f"{number:06d}.{self.outcome}.{_PRESENT[self.present]}.{self.warnings}.{self.model or _NONE}"


def parse(name: str) -> tuple[int, Outcome, SeriesResult | None] | None:
    """Number, outcome and, where a marker's name has it, the rest; None where it is no marker."""
    number, _, rest = name.partition(".")
    found = _parse(rest)
    return (int(number), *found) if found else None


@lru_cache(_KEPT)
def _parse(rest: str) -> tuple[Outcome, SeriesResult | None] | None:
    """Of a marker's name behind the number: a job of any size has a few."""
    outcome, *more = rest.split(".")
    if outcome not in OUTCOMES:
        return None
    if len(more) < _PARTS:
        return outcome, None
    verdict, warnings, model = more[:_PARTS]
    return outcome, SeriesResult(outcome, _VERDICTS[verdict], int(warnings), None if model == _NONE else model)


def model_of(report: Mapping[str, Any]) -> tuple[str, str]:
    """SHA-256 and name of the bundle that a report is by; two empty strings where it is by none."""
    model = report.get("model") or {}
    sha256 = str(model.get("sha256", ""))
    return (sha256, str(model.get("name", ""))) if sha256.isalnum() else ("", "")


def short(sha256: str) -> str:
    """As markers have it."""
    return sha256[:_SHORT]


def _present(report: Mapping[str, Any]) -> bool:
    """Of the series; of any slice, where the slices are no series."""
    series, slices = report.get("series"), report.get("slices", ())
    return any(any((part.get("predictions") or {}).values()) for part in ([series] if series else slices))

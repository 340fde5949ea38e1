"""Selects the series of a study to assess: the series most similar to the training data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from services.common.acceptance import MIN_SLICES_OF_A_HEAD, is_refused
from services.common.schemas import SeriesHeader

TRAINED_THICKNESS_MM: Final = 5.0
_KERNELS: Final = {"soft": 0, "unknown": 1, "sharp": 2}


@dataclass(frozen=True, slots=True)
class BestSeries:
    """The series to assess, and the reason for the choice."""

    uid: str
    reason: str


# In order of weight; lower is better.
_CRITERIA: Final[tuple[tuple[str, Callable[[SeriesHeader], float]], ...]] = (
    ("its headers do not refuse it", lambda series: is_refused(series.reasons)),
    ("it covers more of the head", lambda series: len(series.items) < MIN_SLICES_OF_A_HEAD),
    ("its kernel is softer", lambda series: _KERNELS[series.kernel]),
    ("it has no contrast agent", lambda series: series.contrast),
    ("its slices are closer to 5 mm", lambda series: round(abs(_thickness(series) - TRAINED_THICKNESS_MM), 1)),
    ("it has more slices", lambda series: -len(series.items)),
    ("it is original", lambda series: series.derived),
)


def select_best_series(series: Sequence[SeriesHeader]) -> BestSeries | None:
    """The best of several series of one study.

    None for a single series, for series of several studies, and where the best is refused or a set of PNG slices.
    """
    if len(series) < 2 or len({item.study_uid for item in series}) > 1:  # noqa: PLR2004 - one series
        return None
    best, other = sorted(series, key=_rank)[:2]
    if not best.uid or is_refused(best.reasons):
        return None
    return BestSeries(best.uid, f"{_summary(best)}; {_decisive(best, other)}")


def _rank(series: SeriesHeader) -> tuple[list[float], str]:
    return [measure(series) for _, measure in _CRITERIA], series.uid or ""


def _decisive(best: SeriesHeader, other: SeriesHeader) -> str:
    better = (text for text, measure in _CRITERIA if measure(best) < measure(other))
    return f"chosen over the next because {next(better, 'its UID sorts first: all else is equal')}"


def _summary(series: SeriesHeader) -> str:
    thickness = f"{series.thickness_mm:g} mm" if series.thickness_mm else "unknown thickness"
    contrast = "contrast" if series.contrast else "plain"
    return f"{series.kernel} kernel, {thickness}, {len(series.items)} slices, {contrast}"


def _thickness(series: SeriesHeader) -> float:
    return series.thickness_mm or 2 * TRAINED_THICKNESS_MM

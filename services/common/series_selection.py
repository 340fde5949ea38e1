"""Which of a study's series is best assessed: the one most like those that the networks learnt from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from services.common.acceptance import MIN_SLICES_OF_A_HEAD, is_refused
from services.common.schemas import SeriesHeader

TRAINED_THICKNESS_MM: Final = 5.0
_KERNELS: Final = {"soft": 0, "unknown": 1, "sharp": 2}


@dataclass(frozen=True, slots=True)
class BestSeries:
    """The series to assess, and why this one."""

    uid: str
    reason: str


# What decides, first things first: less is better.
_CRITERIA: Final[tuple[tuple[str, Callable[[SeriesHeader], float]], ...]] = (
    ("it is not refused by its headers", lambda series: is_refused(series.reasons)),
    ("it covers more of the head", lambda series: len(series.items) < MIN_SLICES_OF_A_HEAD),
    ("its kernel is softer", lambda series: _KERNELS[series.kernel]),
    ("it is plain", lambda series: series.contrast),
    ("its slices are nearer to 5 mm", lambda series: round(abs(_thickness(series) - TRAINED_THICKNESS_MM), 1)),
    ("it has more slices", lambda series: -len(series.items)),
    ("it is original", lambda series: series.derived),
)


def select_best_series(series: Sequence[SeriesHeader]) -> BestSeries | None:
    """The best of several series of one study; None where there is nothing to choose, or nothing to choose by.

    Pictures, and series of several patients or examinations, are no choice.
    """
    if len(series) < 2 or len({item.study_uid for item in series}) > 1:  # noqa: PLR2004 - one is no choice
        return None
    best, other = sorted(series, key=_rank)[:2]
    if not best.uid or is_refused(best.reasons):
        return None
    return BestSeries(best.uid, f"{_words(best)}; {_decisive(best, other)}")


def _rank(series: SeriesHeader) -> tuple[list[float], str]:
    return [measure(series) for _, measure in _CRITERIA], series.uid or ""


def _decisive(best: SeriesHeader, other: SeriesHeader) -> str:
    better = (words for words, measure in _CRITERIA if measure(best) < measure(other))
    return f"before the next one because {next(better, 'of its UID alone: they are alike')}"


def _words(series: SeriesHeader) -> str:
    thickness = f"{series.thickness_mm:g} mm" if series.thickness_mm else "unknown thickness"
    contrast = "contrast" if series.contrast else "plain"
    return f"{series.kernel} kernel, {thickness}, {len(series.items)} slices, {contrast}"


def _thickness(series: SeriesHeader) -> float:
    return series.thickness_mm or 2 * TRAINED_THICKNESS_MM

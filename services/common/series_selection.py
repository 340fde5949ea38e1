"""Selects the series of a study to assess: the reconstruction most similar to the training data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from services.common.acceptance import MIN_SLICES_OF_A_HEAD, is_refused
from services.common.schemas import KernelKind, SeriesHeader

TRAINED_THICKNESS_MM: Final = 5.0


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """A series as far as the choice among several depends on it.

    doubt : 0 where nothing speaks against a head; the higher, the less likely it is one
    """

    slices: int
    kernel: KernelKind
    contrast: bool
    thickness_mm: float | None
    derived: bool
    doubt: int = 0

    @property
    def summary(self) -> str:
        """Kernel, thickness, number of slices and contrast as text."""
        thickness = f"{self.thickness_mm:g} mm" if self.thickness_mm else "unknown thickness"
        contrast = "contrast" if self.contrast else "plain"
        return f"{self.kernel} kernel, {thickness}, {self.slices} slices, {contrast}"


Criterion = tuple[str, Callable[[Reconstruction], float]]


@dataclass(frozen=True, slots=True)
class Preference:
    """Which of several reconstructions is better.

    kernels : the better first
    thickness_mm : the preferred slice thickness
    without_doubt : text of the first criterion, for the reconstruction of less `doubt`
    """

    kernels: tuple[KernelKind, ...] = ("soft", "unknown", "sharp")
    thickness_mm: float = TRAINED_THICKNESS_MM
    without_doubt: str = "its headers do not refuse it"

    @property
    def _criteria(self) -> tuple[Criterion, ...]:
        """In order of weight; lower is better."""
        return (
            (self.without_doubt, lambda item: item.doubt),
            ("it covers more of the head", lambda item: item.slices < MIN_SLICES_OF_A_HEAD),
            (f"its kernel is {self._better_kernel}", lambda item: self.kernels.index(item.kernel)),
            ("it has no contrast agent", lambda item: item.contrast),
            (f"its slices are closer to {self.thickness_mm:g} mm", self._off_thickness),
            ("it has more slices", lambda item: -item.slices),
            ("it is original", lambda item: item.derived),
        )

    def rank(self, item: Reconstruction) -> tuple[float, ...]:
        """Lower is better."""
        return tuple(measure(item) for _, measure in self._criteria)

    def advantage(self, best: Reconstruction, other: Reconstruction) -> str:
        """Why `best` is better: the decisive criterion."""
        better = (text for text, measure in self._criteria if measure(best) < measure(other))
        return next(better, "its UID sorts first: all else is equal")

    @property
    def _better_kernel(self) -> str:
        return "softer" if self.kernels.index("soft") < self.kernels.index("sharp") else "sharper"

    def _off_thickness(self, item: Reconstruction) -> float:
        return round(abs((item.thickness_mm or 2 * self.thickness_mm) - self.thickness_mm), 1)


_PREFERENCE: Final = Preference()


@dataclass(frozen=True, slots=True)
class BestSeries:
    """The series to assess, and the reason for the choice."""

    uid: str
    reason: str


def select_best_series(series: Sequence[SeriesHeader]) -> BestSeries | None:
    """The best of several series of one study.

    None for a single series, for series of several studies, and where the best is refused or a set of PNG slices.
    """
    if len(series) < 2 or len({item.study_uid for item in series}) > 1:  # noqa: PLR2004 - one series
        return None
    best, other = sorted(series, key=_rank)[:2]
    if not best.uid or is_refused(best.reasons):
        return None
    made, next_best = _reconstruction(best), _reconstruction(other)
    chosen = f"chosen over the next because {_PREFERENCE.advantage(made, next_best)}"
    return BestSeries(best.uid, f"{made.summary}; {chosen}")


def _rank(series: SeriesHeader) -> tuple[tuple[float, ...], str]:
    return _PREFERENCE.rank(_reconstruction(series)), series.uid or ""


def _reconstruction(series: SeriesHeader) -> Reconstruction:
    refused = int(is_refused(series.reasons))
    return Reconstruction(
        len(series.items), series.kernel, series.contrast, series.thickness_mm, series.derived, refused
    )

"""The result of the pipeline for one series."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.common.schemas import Evidence, Reason, SeriesHeader
from services.gateway.stages.network_requests import BloodRows, Scores


@dataclass(frozen=True, slots=True)
class Assessment:
    """The result for one series.

    `scores.slices`, `pictures` and `slabs` have a row for each slice of the header. A slice that was averaged has the
    row of its slab, and the slab's number from 0. `slabs` is None where nothing was averaged; `pictures` is empty
    unless requested. `blood` has a row for each slab, or for each slice where nothing was averaged; it is None unless
    requested and scored.
    """

    header: SeriesHeader
    reasons: tuple[Reason, ...]
    scores: Scores | None
    pictures: tuple[bytes, ...]
    work_ms: Mapping[str, float]
    evidence: tuple[Evidence, ...] = ()
    slabs: tuple[int, ...] | None = None
    blood: BloodRows | None = None

    def row(self, index: int) -> range:
        """The slices that were averaged with a slice; the slice alone where nothing was averaged."""
        if self.slabs is None:
            return range(index, index + 1)
        first = self.slabs.index(self.slabs[index])
        return range(first, first + self.slabs.count(self.slabs[index]))

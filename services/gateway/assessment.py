"""The result of the pipeline for one series."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.common.schemas import Evidence, Reason, SeriesHeader
from services.gateway.stages.network_requests import Scores


@dataclass(frozen=True, slots=True)
class Assessment:
    """The result for one series.

    `scores.slices`, `pictures` and `slabs` have a row for each slice of the header. A slice that was averaged has the
    row of its slab, and the slab's number from 0. `slabs` is None where nothing was averaged; `pictures` is empty
    unless requested.
    """

    header: SeriesHeader
    reasons: tuple[Reason, ...]
    scores: Scores | None
    pictures: tuple[bytes, ...]
    work_ms: Mapping[str, float]
    evidence: tuple[Evidence, ...] = ()
    slabs: tuple[int, ...] | None = None

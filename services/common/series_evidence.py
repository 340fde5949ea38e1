"""Evidence of slices, summarised over one series. Pure; measurements only, no identifiers."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from services.common.report_schemas import SeriesEvidence
from services.common.schemas import Evidence, SeriesHeader

_DIGITS: Final = 4


def series_evidence(header: SeriesHeader, evidence: Sequence[Evidence]) -> SeriesEvidence:
    """Medians over the slices whose pixels were read, and the geometry from the headers."""
    read = [item for item in evidence if not item.failed]
    position_mm = header.position_mm if header.uid else ()  # PNG slices have no positions
    return SeriesEvidence(
        slices_read=len(read),
        constant_slices=sum(item.constant for item in read),
        bone=_median(item.bone for item in read),
        brain=_median(item.brain for item in read),
        air=_median(item.air for item in read),
        centre_air=_median(item.centre_air for item in read),
        metal=_median(item.metal for item in read),
        air_hu=_median(item.air_hu for item in read if item.air_hu is not None),
        thickness_mm=header.thickness_mm,
        spacing_mm=_median(upper - lower for lower, upper in pairwise(position_mm)),
        length_mm=round(position_mm[-1] - position_mm[0], _DIGITS) if position_mm else None,
    )


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(median(found), _DIGITS) if found else None

"""Responses of preprocess, checked against their requests."""

from collections.abc import Iterator
from dataclasses import dataclass

from services.common.schemas import Evidence, HeadersReport, SeriesHeader
from services.common.tensors import Tensor
from services.gateway.stages.stage_response import StageResponse, malformed


@dataclass(frozen=True, slots=True)
class PreprocessedSlices:
    """A row of `slices` (m, rows, columns, 3) and of `pictures` for each slice or slab; evidence of each slice."""

    slices: Tensor
    pictures: tuple[bytes, ...]
    evidence: tuple[Evidence, ...]
    recipe: str

    @property
    def decoded(self) -> bool:
        """Whether every slice could be decoded."""
        return not any(item.failed for item in self.evidence)


def headers_report(response: StageResponse, files: int) -> HeadersReport:
    """The report on the headers of so many files.

    Raises
    ------
    StageFailed
        the report is missing or invalid, or contradicts itself or the request
    """
    (report,) = response.documents("report", 1, HeadersReport)
    if any(not 0 <= file < files for file in _named_files(report)):
        raise malformed(response.stage, "the report names a file that was not sent")
    if not all(_is_consistent(series) for series in report.series):
        raise malformed(response.stage, "positions, frames or geometries of a series do not match its slices")
    return report


def check_complete(report: HeadersReport, files: int) -> None:
    """Check that each file is in a series or set aside.

    Raises
    ------
    StageFailed
        a file is neither
    """
    seen = {item.file for series in report.series for item in series.items} | {item.file for item in report.set_aside}
    if len(seen) != files:
        raise malformed("preprocess", "the report leaves out a file")


def slice_rows(response: StageResponse) -> int:
    """The number of rows of `slices`."""
    return response.tensor("slices", "UINT8", (None, None, None, 3)).shape[0]


def preprocessed_slices(response: StageResponse, *, slices: int, rows: int, pictures: bool) -> PreprocessedSlices:
    """The response for so many slices, which are as many rows unless they were averaged into slabs.

    Raises
    ------
    StageFailed
        a tensor is missing or malformed, or has another number of rows
    """
    return PreprocessedSlices(
        response.tensor("slices", "UINT8", (rows, None, None, 3)),
        tuple(bytes(picture) for picture in response.elements("pictures", rows)) if pictures else (),
        tuple(response.documents("evidence", slices, Evidence)),
        response.parameter("recipe"),
    )


def _named_files(report: HeadersReport) -> Iterator[int]:
    for series in report.series:
        yield from (item.file for item in series.items)
    yield from (item.file for item in report.set_aside)
    yield from (item.file for item in report.frames_set_aside)
    yield from report.incomplete


def _is_consistent(series: SeriesHeader) -> bool:
    frames = all(item.frame >= 0 for item in series.items)
    stacks = all(stack.pixels_at >= 0 and stack.frame_bytes > 0 for stack in series.stacks)
    known = len(series.geometries)
    geometries = all(item.geometry is None or 0 <= item.geometry < known for item in series.items)
    counts = bool(series.items) and len(series.items) == len(series.position_mm)
    return counts and frames and stacks and geometries

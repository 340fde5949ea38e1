"""Schemas of the public report."""

from typing import Annotated, Literal

from pydantic import Field

from services.common.labels import Label
from services.common.operating_points import OperatingPoint
from services.common.predictions import PREDICTION_RULE
from services.common.schemas import Frozen, Reason
from services.common.slice_geometry import SliceGeometry

Side = Literal["left", "right", "midline", "both"]
Probability = Annotated[float, Field(ge=0, le=1)]


class SeriesEvidence(Frozen):
    """Measurements of one series: medians over the slices read, as shares of the picture."""

    slices_read: int = Field(description="slices whose pixels were measured; 0 where the headers decided")
    constant_slices: int = Field(description="of these, uniform images")
    bone: float | None = Field(None, description="share above 300 HU")
    brain: float | None = Field(None, description="share from 10 to 60 HU")
    air: float | None = Field(None, description="share below -300 HU")
    centre_air: float | None = Field(None, description="share of air amid the bone")
    metal: float | None = Field(None, description="share above 3000 HU")
    air_hu: float | None = Field(None, description="HU of the air; null where there is little air, or it is clipped")
    thickness_mm: float | None = Field(None, description="SliceThickness")
    spacing_mm: float | None = Field(None, description="median distance of neighbouring slices")
    length_mm: float | None = Field(None, description="distance of the first slice from the last")


class ReportSeries(Frozen):
    """The series as a whole; null for independent slices."""

    study_instance_uid: str | None
    series_instance_uid: str | None
    slices: int
    probabilities: dict[Label, Probability] | None = Field(
        None, description="of the series; of its slice where it has one slice; null where not assessed"
    )
    predictions: dict[Label, bool] | None = Field(None, description=f"{PREDICTION_RULE} Null where not assessed.")


class ReportSlice(Frozen):
    """One slice, in anatomical order."""

    index: int = Field(description="index in `slices`, from 0; texts for people count from 1")
    file: str
    frame: int | None = Field(
        None,
        description="number of the frame in `file`, from 0, which is 0 in a file of one frame; older reports lack it",
    )
    sop_instance_uid: str | None
    position_mm: float
    slab: int | None = Field(
        None,
        description="number, from 0, of the slab that the slice was averaged into, with its probabilities and image; "
        "null where nothing was averaged",
    )
    probabilities: dict[Label, Probability] | None = Field(
        None, description="of the slice, independent of the series' predictions; null where not assessed"
    )
    predictions: dict[Label, bool] | None = Field(
        None,
        description=f"{PREDICTION_RULE} Independent slices have no series and no such limit. Null where not assessed.",
    )
    image: str | None = Field(
        None, description="PNG of the three channels, base64; on request. A job's pictures are files of their own"
    )
    geometry: SliceGeometry | None = Field(
        None,
        description="maps the picture and the blood map to the stored frame; in every job, and in predictions with "
        "`blood`, `images` or `key_images`. Older reports lack it",
    )

    @property
    def blood_row(self) -> int:
        """The slice's row in the blood map: that of its slab where slices were averaged."""
        return self.index if self.slab is None else self.slab


class BloodGrid(Frozen):
    """The cells of the blood map: a grid over the whole picture, padding included."""

    rows: int
    columns: int
    cell_height: float = Field(description="rows of the picture in a cell: cell (i, j) begins at row i * cell_height")
    cell_width: float = Field(description="columns of the picture in a cell")


class BloodMap(Frozen):
    """The share of each subtype's blood in each cell, from 0 to 1: little-endian, row-major."""

    shape: tuple[int, int, int, int] = Field(
        description="rows, grid rows, grid columns, labels. A slice has the row of its `slab`, or of its `index` "
        "where `slab` is null"
    )
    dtype: Literal["float32"] = "float32"
    labels: tuple[Label, ...] = Field(description="of the last dimension")
    grid: BloodGrid
    data: str | None = Field(
        None, description="the values, base64, in a prediction; null in a job, which has them in a file of their own"
    )


class Location(Frozen):
    """Where a predicted label is, by the slices' predictions and the blood map."""

    first: int = Field(description="`index` of the first slice where the label is predicted")
    last: int = Field(description="`index` of the last one")
    most: int | None = Field(
        description="`index` of the slice with the most blood of the label, the middle one of its slab; null where the "
        "map shows none"
    )
    side: Side | None = Field(
        description="of the patient: `left` or `right` holds at least 80 % of the map over these slices; else at least "
        "80 % lies near the head's midline, or blood is on `both` sides. Null where the map shows no blood, the "
        "orientation is unknown, or the midline is uncertain"
    )
    text: str = Field(description="in English, for people: slices count from 1")


class ReportModel(Frozen):
    """The bundle that was used."""

    name: str
    sha256: str = Field(description="of the bundle's card.json")
    recipe: str = Field(description="fingerprint of the windows")
    engines: dict[str, str] | None = Field(
        None,
        description="name and version of the engine that ran each network, `cnn` and `rnn`; null in older reports and "
        "where nothing was assessed",
    )


class ReportThresholds(Frozen):
    """The thresholds of the report's operating point; sensitive <= default <= specific for every label."""

    operating_point: OperatingPoint
    slice: dict[Label, float] = Field(description="of slices")
    series: dict[Label, float] = Field(description="of the series; the slice thresholds where the series has one slice")


class Timings(Frozen):
    """Times in milliseconds; a stage's time is the sum over its requests."""

    upload: float
    preprocess: float
    cnn: float
    rnn: float
    total: float


class Report(Frozen):
    """The report of one series, or of independent slices."""

    id: str
    status: Literal["assessed", "not_assessed"]
    created: str | None = Field(None, description="UTC, ISO 8601; older reports lack it")
    version: str | None = Field(None, description="version of the software; older reports lack it")
    reasons: tuple[Reason, ...]
    evidence: SeriesEvidence | None = Field(None, description="the measurements, where the status is `not_assessed`")
    series: ReportSeries | None
    slices: tuple[ReportSlice, ...]
    findings: tuple[str, ...] = Field(description="one line for every label; empty where nothing was assessed")
    key_slices: tuple[int, ...] = Field(
        description="`index` of up to five slices by highest `any`, where predicted; one per slab"
    )
    blood: BloodMap | None = Field(
        None, description="the blood map; on request, and null where nothing was assessed or the bundle has none"
    )
    locations: dict[Label, Location] | None = Field(
        None, description="of each predicted label of a series; null without a blood map, and in older reports"
    )
    model: ReportModel
    thresholds: ReportThresholds
    timings_ms: Timings
    disclaimer: str

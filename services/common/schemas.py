"""Schemas of slices and series, between preprocess and the gateway and in the public report."""

from typing import Annotated, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from services.common.labels import Label
from services.common.operating_points import OperatingPoint
from services.common.predictions import PREDICTION_RULE

Severity = Literal["refuse", "warn", "note"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
FramesCode = Literal["localizer", "other_plane"]
KernelKind = Literal["soft", "sharp", "unknown"]
Probability = Annotated[float, Field(ge=0, le=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _FromStage(_Frozen):
    """Data from preprocess; an older gateway ignores the fields of a newer preprocess."""

    model_config = ConfigDict(extra="ignore")


class Reason(_Frozen):
    """A reason for a refusal, a warning or a note."""

    code: str
    detail: str
    severity: Severity


class SliceReference(_FromStage):
    """One slice of a series: file and frame, counted from 0 in upload order."""

    file: int
    frame: int = 0
    sop_instance_uid: str | None = None


class MultiFrameFile(_FromStage):
    """A file of several uncompressed frames: frame i is `frame_bytes` at `pixels_at` + i * `frame_bytes`."""

    file: int
    pixels_at: int
    frame_bytes: int


class SeriesHeader(_FromStage):
    """One series by its headers, sorted along the slice normal towards the head. PNG slices have no UIDs."""

    uid: str | None
    study_uid: str | None
    items: tuple[SliceReference, ...]
    position_mm: tuple[float, ...]
    reasons: tuple[Reason, ...] = ()
    kernel: KernelKind = "unknown"
    thickness_mm: float | None = None
    contrast: bool = False
    derived: bool = False
    stacks: tuple[MultiFrameFile, ...] = Field(
        (), description="files that can be sent in part, for some of their frames"
    )


class SetAsideFile(_FromStage):
    """A file that makes no slice: a code of `file_codes`, and the UIDs of its series where the header has them."""

    file: int
    code: str
    tag: str | None = Field(None, description="keyword of the unreadable tag")
    uid: str | None = None
    study_uid: str | None = None


class SetAsideFrames(_FromStage):
    """Frames of a file that make no slices, counted from 0, with a code of `file_codes`; the other frames do."""

    file: int
    frames: tuple[int, ...]
    code: FramesCode


class HeadersReport(_FromStage):
    """The output of preprocess' model `series`."""

    series: tuple[SeriesHeader, ...] = ()
    set_aside: tuple[SetAsideFile, ...] = ()
    frames_set_aside: tuple[SetAsideFrames, ...] = ()
    incomplete: tuple[int, ...] = Field((), description="files whose header exceeds the bytes sent")


class Evidence(_FromStage):
    """Measurements of one slice's pixels, as shares of the picture. `failed` is a code of `UNUSABLE_FILES`."""

    bone: float = Field(0, description="share of the picture above 300 HU")
    brain: float = Field(0, description="share of the picture from 10 to 60 HU")
    air: float = Field(0, description="share of the picture below -300 HU")
    centre_air: float = Field(0, description="share of air amid the bone, where a head has brain")
    metal: float = Field(0, description="share of the picture above 3000 HU")
    air_hu: float | None = Field(None, description="median of the air, in HU; null where it is little or clipped")
    constant: bool = False
    compressed: bool = False
    failed: str | None = None


class SeriesEvidence(_Frozen):
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


class ReportSeries(_Frozen):
    """The series as a whole; null for independent slices."""

    study_instance_uid: str | None
    series_instance_uid: str | None
    slices: int
    probabilities: dict[Label, Probability] | None = Field(
        None, description="of the series; of its slice where it has one slice; null where not assessed"
    )
    predictions: dict[Label, bool] | None = Field(None, description=f"{PREDICTION_RULE} Null where not assessed.")


class ReportSlice(_Frozen):
    """One slice, in anatomical order."""

    index: int = Field(description="index in `slices`, from 0; texts for people count from 1")
    file: str
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
    image: str | None = Field(None, description="PNG of the three channels, base64; on request")


class ReportModel(_Frozen):
    """The bundle that was used."""

    name: str
    sha256: str = Field(description="of the bundle's card.json")
    recipe: str = Field(description="fingerprint of the windows")


class ReportThresholds(_Frozen):
    """The thresholds of the report's operating point; sensitive <= default <= specific for every label."""

    operating_point: OperatingPoint
    slice: dict[Label, float] = Field(description="of slices")
    series: dict[Label, float] = Field(description="of the series; the slice thresholds where the series has one slice")


class Timings(_Frozen):
    """Times in milliseconds; a stage's time is the sum over its requests."""

    upload: float
    preprocess: float
    cnn: float
    rnn: float
    total: float


class Report(_Frozen):
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
    model: ReportModel
    thresholds: ReportThresholds
    timings_ms: Timings
    disclaimer: str

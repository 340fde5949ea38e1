"""What is said about slices and series: between preprocess and the gateway, and in the public report."""

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
    """What preprocess says: a newer one may say more than an older gateway knows."""

    model_config = ConfigDict(extra="ignore")


class Reason(_Frozen):
    """Why something was not assessed, or is to be read with care."""

    code: str
    detail: str
    severity: Severity


class SliceReference(_FromStage):
    """One slice of a series: a frame of a file, both counted from 0 in the order sent."""

    file: int
    frame: int = 0
    sop_instance_uid: str | None = None


class MultiFrameFile(_FromStage):
    """A file of several uncompressed frames: the i-th one is `frame_bytes` from `pixels_at` + i * `frame_bytes` on."""

    file: int
    pixels_at: int
    frame_bytes: int


class SeriesHeader(_FromStage):
    """One series as its headers tell it, sorted along the slice normal towards the head. Pictures have no UIDs."""

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
        (), description="files of which a part is enough for some of their frames"
    )


class SetAsideFile(_FromStage):
    """A file that makes no slice, and why (a code of `acceptance`); its series, where the header names it."""

    file: int
    code: str
    tag: str | None = Field(None, description="keyword of the tag that cannot be read")
    uid: str | None = None
    study_uid: str | None = None


class SetAsideFrames(_FromStage):
    """Frames of a file that make no slices, counted from 0, and why (a code of `acceptance`); its other frames do."""

    file: int
    frames: tuple[int, ...]
    code: FramesCode


class HeadersReport(_FromStage):
    """The answer of preprocess' `series` door."""

    series: tuple[SeriesHeader, ...] = ()
    set_aside: tuple[SetAsideFile, ...] = ()
    frames_set_aside: tuple[SetAsideFrames, ...] = ()
    incomplete: tuple[int, ...] = Field((), description="files whose header goes on after the head that was sent")


class Evidence(_FromStage):
    """What the pixels of one slice say, as fractions of the picture. `failed` is a code of `UNUSABLE_FILES`."""

    bone: float = Field(0, description="share of the picture above 300 HU")
    brain: float = Field(0, description="share of the picture from 10 to 60 HU")
    air: float = Field(0, description="share of the picture below -300 HU")
    centre_air: float = Field(0, description="share of air amid the bone, which is brain in a head")
    metal: float = Field(0, description="share of the picture above 3000 HU")
    air_hu: float | None = Field(None, description="median of the air, in HU; null where little or clipped")
    constant: bool = False
    compressed: bool = False
    failed: str | None = None


class SeriesEvidence(_Frozen):
    """What was measured of one series. Shares are of the picture, each the median over the slices that were read."""

    slices_read: int = Field(description="slices whose pixels were measured; 0 where the headers alone were enough")
    constant_slices: int = Field(description="of these, uniform images")
    bone: float | None = Field(None, description="share above 300 HU")
    brain: float | None = Field(None, description="share from 10 to 60 HU")
    air: float | None = Field(None, description="share below -300 HU")
    centre_air: float | None = Field(None, description="share of air amid the bone")
    metal: float | None = Field(None, description="share above 3000 HU")
    air_hu: float | None = Field(None, description="HU of the air; null where there is little, or it is clipped")
    thickness_mm: float | None = Field(None, description="SliceThickness")
    spacing_mm: float | None = Field(None, description="median distance of neighbouring slices")
    length_mm: float | None = Field(None, description="distance of the first slice from the last")


class ReportSeries(_Frozen):
    """The series as a whole; null where slices were sent that do not belong together."""

    study_instance_uid: str | None
    series_instance_uid: str | None
    slices: int
    probabilities: dict[Label, Probability] | None = Field(
        None, description="of the series; those of its slice where it has one; null where not assessed"
    )
    predictions: dict[Label, bool] | None = Field(None, description=f"{PREDICTION_RULE} Null where not assessed.")


class ReportSlice(_Frozen):
    """One slice, in anatomical order."""

    index: int = Field(description="place in `slices`, counted from 0; texts for people count from 1")
    file: str
    sop_instance_uid: str | None
    position_mm: float
    slab: int | None = Field(
        None,
        description="number, from 0, of the slab that the slice was averaged into, whose probabilities and image these "
        "are; null where nothing was averaged",
    )
    probabilities: dict[Label, Probability] | None = Field(
        None, description="of the slice, whatever is predicted of its series; null where not assessed"
    )
    predictions: dict[Label, bool] | None = Field(
        None,
        description=f"{PREDICTION_RULE} Slices sent alone have no series and no such limit. Null where not assessed.",
    )
    image: str | None = Field(None, description="PNG of the three channels, base64; on request")


class ReportModel(_Frozen):
    """Which bundle answered."""

    name: str
    sha256: str = Field(description="of the bundle's card.json")
    recipe: str = Field(description="fingerprint of the windows")


class ReportThresholds(_Frozen):
    """The thresholds of the report's operating point; sensitive <= default <= specific for every label."""

    operating_point: OperatingPoint
    slice: dict[Label, float] = Field(description="of slices")
    series: dict[Label, float] = Field(
        description="of the series; those of slices where the series has one slice, which is judged as a slice is"
    )


class Timings(_Frozen):
    """Where the time went, in milliseconds; a stage's figure is the sum of its own work."""

    upload: float
    preprocess: float
    cnn: float
    rnn: float
    total: float


class Report(_Frozen):
    """The answer for one series, or for slices sent alone."""

    id: str
    status: Literal["assessed", "not_assessed"]
    created: str | None = Field(None, description="UTC, ISO 8601; older reports lack it")
    version: str | None = Field(None, description="of the software; older reports lack it")
    reasons: tuple[Reason, ...]
    evidence: SeriesEvidence | None = Field(None, description="the measurements, where the status is `not_assessed`")
    series: ReportSeries | None
    slices: tuple[ReportSlice, ...]
    findings: tuple[str, ...] = Field(description="one line for every label; empty where nothing was assessed")
    key_slices: tuple[int, ...] = Field(
        description="`index` of up to five slices by highest `any`, where predicted; one a slab"
    )
    model: ReportModel
    thresholds: ReportThresholds
    timings_ms: Timings
    disclaimer: str

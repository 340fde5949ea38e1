"""Schemas of slices and series that preprocess sends to the gateway, and of reasons."""

from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from services.common.series_description import SeriesDescription
from services.common.slice_geometry import SliceGeometry

Severity = Literal["refuse", "warn", "note"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
FramesCode = Literal["localizer", "other_plane"]
KernelKind = Literal["soft", "sharp", "unknown"]


class Frozen(BaseModel):
    """A frozen schema without extra fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _FromStage(Frozen):
    """Data from preprocess; an older gateway ignores the fields of a newer preprocess."""

    model_config = ConfigDict(extra="ignore")


class Reason(Frozen):
    """A reason for a refusal, a warning or a note."""

    code: str
    detail: str
    severity: Severity


class SliceReference(_FromStage):
    """One slice of a series: file and frame, counted from 0 in upload order."""

    file: int
    frame: int = 0
    sop_instance_uid: str | None = None
    cost: int = Field(1, ge=1, description="price of decoding it, in slices of 512 x 512")
    geometry: int | None = Field(None, description="index in the series' `geometries`; null from an older preprocess")


class MultiFrameFile(_FromStage):
    """A file of several uncompressed frames: frame i is `frame_bytes` at `pixels_at` + i * `frame_bytes`."""

    file: int
    pixels_at: int
    frame_bytes: int

    def frame_range(self, frame: int) -> tuple[int, int]:
        """First byte of a frame, and of the next one."""
        return self.pixels_at + frame * self.frame_bytes, self.pixels_at + (frame + 1) * self.frame_bytes


class EncapsulatedFile(_FromStage):
    """A file of several compressed frames: the fragments of frame i are bytes `frames_at[i]` to `frames_at[i + 1]`.

    It is known where the whole file was sent.
    """

    file: int
    pixels_at: int
    frames_at: tuple[int, ...]

    def frame_range(self, frame: int) -> tuple[int, int]:
        """First byte of a frame's fragments, and of the next frame's."""
        return self.frames_at[frame], self.frames_at[frame + 1]


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
    encapsulated: tuple[EncapsulatedFile, ...] = Field(
        (), description="files that can be sent in part, for one of their frames"
    )
    geometries: tuple[SliceGeometry, ...] = Field((), description="each once: most series have one")
    description: SeriesDescription | None = Field(None, description="for people; null from an older preprocess")
    patient_digest: str | None = Field(None, description="unkeyed, of PatientID and its issuer: never stored as it is")

    @property
    def cost(self) -> int:
        """The price of decoding all slices, in slices of 512 x 512."""
        return sum(item.cost for item in self.items)


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


class Midline(_FromStage):
    """The head's midline in the recipe's picture of a slice: a line through `row`, `column`."""

    row: float
    column: float
    angle_deg: float = Field(description="from the picture's vertical; positive where its lower end is further right")
    contrast: float = Field(ge=0, description="by how much the best axis of symmetry exceeds the others; 0 is not")


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
    midline: Midline | None = Field(None, description="on request; null without a head")
    failed: str | None = None

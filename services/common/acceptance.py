"""What is assessed and what is not: pure functions that fold evidence over a series by the rules in `rules`.

`python -m services.common.acceptance > docs/reference/acceptance.md` lists the rules for people.

Header reasons and set-aside files come from preprocess, pixel evidence comes slice by slice; the verdict is drawn
here, the same for a waiting call, for a batch job and for training.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from types import MappingProxyType
from typing import Final

from services.common.rules import RULES
from services.common.schemas import Evidence, FramesCode, Reason

# A file with one of these is set aside beside a series, with a note; alone it is refused.
SET_ASIDE_FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "not_dicom": "neither DICOM nor PNG",
        "system_file": "a file that macOS or Windows adds to folders",
        "dicomdir": "a DICOMDIR, which lists files and holds no image",
        "not_an_image": "a DICOM object without pixels",
        "not_a_ct_slice": "not an axial CT slice (a localizer, a secondary capture or another modality)",
    }
)

# Frames with one of these are set aside beside the axial ones of their file, with a note.
SET_ASIDE_FRAMES: Final[Mapping[FramesCode, str]] = MappingProxyType(
    {"localizer": "localizer", "other_plane": "another plane than axial"}
)

# A file with one of these makes the upload unusable: leaving it out could hide a haemorrhage.
UNUSABLE_FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "empty_file": "the file is empty",
        "truncated": "the file ends before its pixels do",
        "corrupt_header": "the DICOM header cannot be read",
        "unreadable_tag": "a tag that decides pixels or order cannot be read as a number",
        "surplus_pixels": "more pixels than Rows, Columns and NumberOfFrames count, or another file, follow the image",
        "corrupt_pixels": "the pixels cannot be decoded",
        "unsupported_syntax": "the transfer syntax is not supported",
        "too_large": "the image is larger than this service decodes",
        "corrupt_png": "the PNG cannot be decoded",
        **{
            code: f"{what}; a PNG must be 512 x 512, 8-bit RGB: bone, subdural and soft-tissue window"
            for code, what in {
                "png_other_size": "the PNG has another size, as a screenshot has",
                "png_16_bit": "the PNG has 16 bits a channel",
                "png_grey": "the PNG is grey",
                "png_palette": "the PNG has a palette",
                "png_transparent": "the PNG has an alpha channel",
                "png_animated": "the PNG is animated",
                "png_other_picture": "the channels of the PNG are not three windows of one slice",
            }.items()
        },
    }
)

_NUMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {"PixelSpacing": "two numbers", "ImagePositionPatient": "three numbers", "ImageOrientationPatient": "six numbers"}
)


def describe_file_code(code: str, tag: str | None = None) -> str:
    """Why a file is set aside or unusable, in words; `tag` is the keyword of the tag that cannot be read."""
    if tag is not None:
        return f"{tag} cannot be read as {_NUMBERS.get(tag, 'a number')}"
    return {**SET_ASIDE_FILES, **UNUSABLE_FILES}[code]


# Fractions of the picture. A slice that has all three in these shares can be one of a head.
# Loose on purpose: slices at the vertex and at the skull base count too, and a refusal must be beyond doubt. At the
# vertex a disc of brain 15 mm wide is left, in a picture of 250 or even 500 mm. A round head in a square picture has
# air or padding at its corners; none at all means that the values are shifted, as without their rescale intercept.
MIN_BONE, MAX_BONE = 0.0005, 0.60
MIN_BRAIN = 0.0005
MIN_AIR = 0.01
MAX_METAL: Final = 0.1  # teeth and clips fill a hundredth; more is negative values that were read as unsigned
# A head has brain, and what a skull without one has in its place is air. Measured: brain is 0.036 to 0.10 of the bone
# in slices of an empty skull and .058 in its series, 3 in a whole head; at the vertex and above it 0.03 and more, but
# there the middle of the bone is bone. Air amid the bone: 0.49 and more in the empty skull, at most 0.15 in slices of
# the real head and 0.05 at its vertex; where a headrest is all the bone there is, skin is 0.18 of it.
MAX_BRAIN_OF_EMPTY_SKULL: Final = 0.12  # of the bone
MIN_CENTRE_AIR_OF_EMPTY_SKULL: Final = 0.3
LITTLE_BRAIN: Final = 0.02  # of the picture, in the fullest slice
LITTLE_BRAIN_OF_BONE: Final = 0.25
# Scanners differ by some ten Hounsfield units in air, and hair and pillows are denser.
LOWEST_AIR_HU, HIGHEST_AIR_HU = -1200, -800
MOST_SHIFT_HU: Final = 100  # more moves brain out of the narrowest window; a scanner may be scaled by some percent
MIN_METAL: Final = 0.0003  # 80 pixels of 512 x 512; a tooth's enamel or noise has fewer
# Towards the vertex brain dwindles; downwards face and neck have tissue of the same density.
MIN_SLICES_OF_A_HEAD: Final = 8
FULL_OF_BRAIN: Final = 0.05
HIGHEST_STILL_FULL, LOWEST_STILL_FULL = 0.5, 0.9  # of the share in the fullest slice


def make_reason(code: str, **values: object) -> Reason:
    """A rule's reason, with its words filled in."""
    rule = RULES[code]
    return Reason(code=code, severity=rule.severity, detail=rule.message.format(**values))


def pixel_reasons(evidence: Sequence[Evidence], *, headwards: bool = True) -> list[Reason]:
    """What the pixels of one series say, over all its slices.

    Parameters
    ----------
    headwards : whether the slices stand in anatomical order; pictures sent side by side do not
    """
    constant = [item for item in evidence if item.constant]
    if len(constant) == len(evidence) or any(item.compressed for item in constant):
        return [make_reason("constant_image", slices=len(constant), total=len(evidence))]
    reasons = [make_reason("blank_slices", slices=len(constant), total=len(evidence))] if constant else []
    reasons += [*_head(evidence), *_scale(evidence), *_metal(evidence)]
    return reasons + (_missing(evidence) if headwards else [])


def is_refused(reasons: Iterable[Reason]) -> bool:
    """Whether a rule of refusal stands."""
    return any(item.severity == "refuse" for item in reasons)


def _can_be_head(item: Evidence) -> bool:
    shares = MIN_BONE <= item.bone <= MAX_BONE and item.brain >= MIN_BRAIN and item.air >= MIN_AIR
    return shares and item.metal <= MAX_METAL


def _head(evidence: Sequence[Evidence]) -> list[Reason]:
    """Whether the slices can be those of a head, all together."""
    shares = {part: median(getattr(item, part) for item in evidence) for part in ("bone", "brain", "air")}
    bone, brain = (sum(getattr(item, part) for item in evidence) for part in ("bone", "brain"))
    centre_air = sum(item.centre_air * item.bone for item in evidence) / bone if bone else 0.0
    many = len(evidence) >= MIN_SLICES_OF_A_HEAD  # more than lie above the brain: whatever fills the skull is no brain
    empty = brain < MAX_BRAIN_OF_EMPTY_SKULL * bone and (many or centre_air > MIN_CENTRE_AIR_OF_EMPTY_SKULL)
    if empty or not any(_can_be_head(item) for item in evidence):
        return [make_reason("not_a_head", **shares, centre_air=centre_air)]
    fullest = max(item.brain for item in evidence)
    little = fullest < LITTLE_BRAIN or brain < LITTLE_BRAIN_OF_BONE * bone
    return [make_reason("little_brain", fullest=fullest, bone=shares["bone"])] if little else []


def _scale(evidence: Sequence[Evidence]) -> list[Reason]:
    air_hu = [item.air_hu for item in evidence if item.air_hu is not None]
    if not air_hu or abs(median(air_hu) + 1000) <= MOST_SHIFT_HU:
        return []
    other_scale = not LOWEST_AIR_HU <= median(air_hu) <= HIGHEST_AIR_HU
    return [make_reason("wrong_scale" if other_scale else "shifted_scale", air_hu=median(air_hu))]


def _metal(evidence: Sequence[Evidence]) -> list[Reason]:
    slices = sum(item.metal >= MIN_METAL for item in evidence)
    return [make_reason("metal", slices=slices)] if slices else []


def _missing(evidence: Sequence[Evidence]) -> list[Reason]:
    """Whether the pictures end before the head does, at either end."""
    fullest = max(item.brain for item in evidence)
    if len(evidence) < MIN_SLICES_OF_A_HEAD or fullest < FULL_OF_BRAIN:
        return []
    ends = (("lowest", evidence[0], LOWEST_STILL_FULL), ("highest", evidence[-1], HIGHEST_STILL_FULL))
    return [make_reason("part_missing", where=where) for where, item, share in ends if item.brain > share * fullest]


def rules_as_markdown() -> str:
    """The rules as Markdown."""
    rules = [
        f"| `{rule.code}` | {rule.severity} | {rule.message} | {rule.rationale} | {rule.source} |"
        for rule in RULES.values()
    ]
    foreign = [f"| `{code}` | {words} |" for code, words in SET_ASIDE_FILES.items()]
    corrupt = [f"| `{code}` | {words} |" for code, words in UNUSABLE_FILES.items()]
    fixed = ", ".join(f"`{rule.code}`" for rule in RULES.values() if rule.fixed)
    return "\n".join((_HEAD, *rules, _SITE.format(fixed=fixed), _FOREIGN, *foreign, _CORRUPT, *corrupt, ""))


_HEAD: Final = """# What is assessed, and what is not

Made by `python -m services.common.acceptance > docs/reference/acceptance.md` from `services/common/rules.py`.

Every reason in a report has a code, a severity and words. Where a reason of severity `refuse` stands, the `status` is
`not_assessed` and no number is given; `warn` and `note` stand beside the numbers. Which scans are refused was decided
without clinical data: a site should try its own.

## Rules

| code | severity | words | why | source |
|---|---|---|---|---|"""
_SITE: Final = """
## A site's own severities

One file says which of these severities a site wants otherwise, and `ICH_GATEWAY_ACCEPTANCE_FILE` says where it is:

```toml
[severity]
other_body_part = "warn"
contrast = "refuse"
```

It is read once, at start; a code or a severity that nobody knows stops the start. What can't be lowered is {fixed}:
without pixels, or without an order of slices, there is nothing to score."""
_FOREIGN: Final = """
## Files that are set aside

Alone they make an upload 422; beside a series they get the note `file_set_aside`.

| code | words |
|---|---|"""
_CORRUPT: Final = """
## Files that make an upload unusable

422, naming every one: leaving a slice out could hide a haemorrhage.

| code | words |
|---|---|"""

if __name__ == "__main__":
    sys.stdout.write(rules_as_markdown())

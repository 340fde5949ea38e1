"""What is assessed and what is not: rules as data, and pure functions that fold evidence over a series.

Header reasons and set-aside files come from preprocess, pixel evidence comes slice by slice; the verdict is drawn
here, the same for a waiting call, for a batch job and for training.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from types import MappingProxyType
from typing import Final

from services.common.schemas import Evidence, Reason, Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """A code with its severity and its words; `{...}` is filled in where the rule speaks."""

    code: str
    severity: Severity
    words: str


# A file with one of these is set aside beside a series, with a note; alone it is refused.
FOREIGN_FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "not_dicom": "neither DICOM nor PNG",
        "dicomdir": "a DICOMDIR, which lists files and holds no image",
        "not_an_image": "a DICOM object without pixels",
        "not_a_ct_slice": "not an axial CT slice (a localizer, a secondary capture or another modality)",
    }
)

# A file with one of these makes the upload unusable: leaving it out could hide a bleeding.
CORRUPT_FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "empty_file": "the file is empty",
        "truncated": "the file ends before its pixels do",
        "corrupt_header": "the DICOM header cannot be read",
        "corrupt_pixels": "the pixels cannot be decoded",
        "unsupported_syntax": "the transfer syntax is not supported",
        "too_large": "the image is larger than this service decodes",
        "corrupt_png": "the PNG cannot be decoded",
        "not_a_recipe_png": "a PNG must be 512 x 512, 8-bit RGB: bone, subdural and soft-tissue window",
    }
)

_RULES: Final = (
    Rule(
        "not_a_head", "refuse", "The pixels do not look like a head: bone {bone:.1%}, brain {brain:.1%}, air {air:.1%}."
    ),
    Rule("other_body_part", "refuse", "BodyPartExamined says {part}, not head."),
    Rule(
        "constant_image",
        "refuse",
        "{slices} of {total} slices are one even grey: nothing was decoded or nothing is there.",
    ),
    Rule("blank_slices", "warn", "{slices} of {total} slices are one even grey."),
    Rule("contrast", "warn", "A contrast agent is recorded; the networks learnt from plain CT."),
    Rule("unusual_kvp", "warn", "KVP is {kvp:g}, outside 100 to 140: Hounsfield units may be off."),
    Rule("no_rescale", "warn", "RescaleSlope and RescaleIntercept are missing: the values may be no Hounsfield units."),
    Rule("uneven_spacing", "warn", "The distance between slices varies from {low:.2f} to {high:.2f} mm."),
    Rule("duplicate_positions", "warn", "{slices} slices share their position with another one."),
    Rule("no_position", "warn", "ImagePositionPatient is missing; the slices are ordered by InstanceNumber."),
    Rule("intercept_repaired", "note", "12-bit pixels with a wrong RescaleIntercept were mended."),
    Rule("resampled", "note", "The slices are {rows} x {columns} and were resampled to 512 x 512."),
    Rule("file_set_aside", "note", "{file}: {why}; it was not assessed."),
)
RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.code: rule for rule in _RULES})

# Fractions of the picture. A slice that has all three in these shares can be one of a head.
# Loose on purpose: slices at the vertex and at the skull base count too, and a refusal must be beyond doubt. At the
# vertex a disc of brain 15 mm wide is left, in a picture of 250 mm. A round head in a square picture has air or
# padding at its corners; none at all means that the values are shifted, as without their rescale intercept.
MIN_BONE, MAX_BONE = 0.002, 0.60
MIN_BRAIN = 0.002
MIN_AIR = 0.01


def reason(code: str, **values: object) -> Reason:
    """A rule's reason, with its words filled in."""
    rule = RULES[code]
    return Reason(code=code, severity=rule.severity, detail=rule.words.format(**values))


def fold(evidence: Sequence[Evidence]) -> list[Reason]:
    """What the pixels of one series say, over all its slices."""
    constant = [item for item in evidence if item.constant]
    if len(constant) == len(evidence) or any(item.compressed for item in constant):
        return [reason("constant_image", slices=len(constant), total=len(evidence))]
    reasons = [reason("blank_slices", slices=len(constant), total=len(evidence))] if constant else []
    if not any(_can_be_head(item) for item in evidence):
        shares = {part: median(getattr(item, part) for item in evidence) for part in ("bone", "brain", "air")}
        reasons.append(reason("not_a_head", **shares))
    return reasons


def refused(reasons: Iterable[Reason]) -> bool:
    """Whether a rule of refusal stands."""
    return any(item.severity == "refuse" for item in reasons)


def _can_be_head(item: Evidence) -> bool:
    return MIN_BONE <= item.bone <= MAX_BONE and item.brain >= MIN_BRAIN and item.air >= MIN_AIR

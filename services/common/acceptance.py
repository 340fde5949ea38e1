"""Acceptance of a series by its pixels: pure functions that turn the evidence of all slices into reasons.

Preprocess gives reasons from headers, files set aside, and the evidence of each slice. The same code path serves
synchronous requests, jobs and training.
"""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

from services.common.rules import RULES
from services.common.schemas import Evidence, Reason

# Shares of the picture. A slice within all these limits can be a slice of a head. The limits are loose, because a
# refusal must be beyond doubt: a disc of brain 15 mm wide is left at the vertex, in a picture of 250 to 500 mm. A round
# head leaves air or padding in the corners of a square picture; none means shifted values (no rescale intercept).
MIN_BONE, MAX_BONE = 0.0005, 0.60
MIN_BRAIN = 0.0005
MIN_AIR = 0.01
MAX_METAL: Final = 0.1  # teeth and clips fill 0.01; more means negative values read as unsigned
# An empty skull holds air in place of brain. Measured brain as a share of bone: 0.036 to 0.10 in its slices, 0.058 in
# its series; 3 in a whole head, at least 0.03 at the vertex, where bone fills the centre. Measured air amid the bone:
# at least 0.49 in the empty skull; at most 0.15 in slices of a head, 0.05 at the vertex, 0.18 around a headrest.
MAX_BRAIN_OF_EMPTY_SKULL: Final = 0.12  # of the bone
MIN_CENTRE_AIR_OF_EMPTY_SKULL: Final = 0.3
LITTLE_BRAIN: Final = 0.02  # of the picture, in the slice with the most brain
LITTLE_BRAIN_OF_BONE: Final = 0.25
# Scanners differ by some ten Hounsfield units in air; hair and pillows are denser.
LOWEST_AIR_HU, HIGHEST_AIR_HU = -1200, -800
MAX_SHIFT_HU: Final = 100  # a larger shift moves brain out of the narrowest window
MIN_METAL: Final = 0.0003  # 80 pixels of 512 x 512; enamel and noise fill fewer
# Brain fades out towards the vertex; towards the feet, face and neck hold tissue of the same density.
MIN_SLICES_OF_A_HEAD: Final = 8
FULL_OF_BRAIN: Final = 0.05
HIGHEST_STILL_FULL, LOWEST_STILL_FULL = 0.5, 0.9  # as a share of the slice with the most brain


def make_reason(code: str, **values: object) -> Reason:
    """The reason of a rule, with `values` filled into its message."""
    rule = RULES[code]
    return Reason(code=code, severity=rule.severity, detail=rule.message.format(**values))


def pixel_reasons(evidence: Sequence[Evidence], *, headwards: bool = True) -> list[Reason]:
    """Reasons in the pixels of one series.

    Parameters
    ----------
    evidence : of every slice of the series
    headwards : whether the slices stand in anatomical order, which independent PNG slices do not
    """
    constant = [item for item in evidence if item.constant]
    if len(constant) == len(evidence) or any(item.compressed for item in constant):
        return [make_reason("constant_image", slices=len(constant), total=len(evidence))]
    reasons = [make_reason("blank_slices", slices=len(constant), total=len(evidence))] if constant else []
    reasons += [*_head_reasons(evidence), *_scale_reasons(evidence), *_metal_reasons(evidence)]
    return reasons + (_missing_part_reasons(evidence) if headwards else [])


def is_refused(reasons: Iterable[Reason]) -> bool:
    """Whether one of the reasons is a refusal."""
    return any(item.severity == "refuse" for item in reasons)


def _can_be_head(item: Evidence) -> bool:
    shares = MIN_BONE <= item.bone <= MAX_BONE and item.brain >= MIN_BRAIN and item.air >= MIN_AIR
    return shares and item.metal <= MAX_METAL


def _head_reasons(evidence: Sequence[Evidence]) -> list[Reason]:
    shares = {part: median(getattr(item, part) for item in evidence) for part in ("bone", "brain", "air")}
    bone, brain = (sum(getattr(item, part) for item in evidence) for part in ("bone", "brain"))
    centre_air = sum(item.centre_air * item.bone for item in evidence) / bone if bone else 0.0
    below_vertex = len(evidence) >= MIN_SLICES_OF_A_HEAD  # fewer slices may all lie above the brain
    empty = brain < MAX_BRAIN_OF_EMPTY_SKULL * bone and (below_vertex or centre_air > MIN_CENTRE_AIR_OF_EMPTY_SKULL)
    if empty or not any(_can_be_head(item) for item in evidence):
        return [make_reason("not_a_head", **shares, centre_air=centre_air)]
    most_brain = max(item.brain for item in evidence)
    little = most_brain < LITTLE_BRAIN or brain < LITTLE_BRAIN_OF_BONE * bone
    return [make_reason("little_brain", most_brain=most_brain, bone=shares["bone"])] if little else []


def _scale_reasons(evidence: Sequence[Evidence]) -> list[Reason]:
    air_hu = [item.air_hu for item in evidence if item.air_hu is not None]
    if not air_hu or abs(median(air_hu) + 1000) <= MAX_SHIFT_HU:
        return []
    wrong = not LOWEST_AIR_HU <= median(air_hu) <= HIGHEST_AIR_HU
    return [make_reason("wrong_scale" if wrong else "shifted_scale", air_hu=median(air_hu))]


def _metal_reasons(evidence: Sequence[Evidence]) -> list[Reason]:
    slices = sum(item.metal >= MIN_METAL for item in evidence)
    return [make_reason("metal", slices=slices)] if slices else []


def _missing_part_reasons(evidence: Sequence[Evidence]) -> list[Reason]:
    """Warnings where the first or last slice still shows full brain."""
    most_brain = max(item.brain for item in evidence)
    if len(evidence) < MIN_SLICES_OF_A_HEAD or most_brain < FULL_OF_BRAIN:
        return []
    ends = (("lowest", evidence[0], LOWEST_STILL_FULL), ("highest", evidence[-1], HIGHEST_STILL_FULL))
    return [make_reason("part_missing", where=where) for where, item, share in ends if item.brain > share * most_brain]

"""Options of a study; an option that is None is drawn at random."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from services.common.labels import Label

Shift = Literal["noise and kernel", "thickness", "hounsfield", "anatomy", "lesions"]
SHIFTS: Final[tuple[Shift, ...]] = get_args(Shift)


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """Options of a study.

    kinds : kinds of haemorrhage, () for none; drawn where None
    mimic : with a mimic of haemorrhage; drawn where None
    shift : way in which the study is outside the usual ranges
    twin : the same patient and scanner without the shift
    broad : draw half of the scanners, haemorrhages, heads, brains and skull bases from harder ranges, for training
    small : share of the studies with blood in which haemorrhages are as small as most patients', for training
    borders : with blur of bone into the brain, and dura along the inner table; without, studies are too easy
    """

    kinds: tuple[Label, ...] | None = None
    mimic: bool | None = None
    shift: Shift | None = None
    twin: bool = False
    borders: bool = True
    broad: bool = False
    small: float = 0.0


RANDOM_STUDY: Final = StudyOptions()


@dataclass(frozen=True, slots=True)
class StudyRequest:
    """A study to make: `slices` random slices, or all where None."""

    seed: int
    slices: int | None = None
    options: StudyOptions = RANDOM_STUDY

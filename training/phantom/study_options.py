"""What a study shall be like; whatever an order leaves open is drawn."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from services.common.labels import Label

Shift = Literal["noise and kernel", "thickness", "hounsfield", "anatomy", "lesions"]
SHIFTS: Final[tuple[Shift, ...]] = get_args(Shift)


@dataclass(frozen=True, slots=True)
class Order:
    """A study's order.

    kinds : the haemorrhages it has, () for none; drawn where None
    mimic : whether it has something that looks like a haemorrhage and is none; drawn where None
    shift : in which way it lies outside of what is drawn otherwise
    twin : whether it is made without its shift after all: the same patient and scanner, but for that
    broad : whether scanners, bleeds, heads, brains and skull bases are drawn harder, half of each, to learn from
    small : share of the studies that bleed in which haemorrhages are as small as most of patients' are, to learn from
    borders : whether the scanner blurs bone into the brain, and dura lies along it; without, a study is too easy
    """

    kinds: tuple[Label, ...] | None = None
    mimic: bool | None = None
    shift: Shift | None = None
    twin: bool = False
    borders: bool = True
    broad: bool = False
    small: float = 0.0


ANY_STUDY: Final = Order()


@dataclass(frozen=True, slots=True)
class Wanted:
    """One study to make; `slices` of it at random, or all where None."""

    seed: int
    slices: int | None = None
    order: Order = ANY_STUDY

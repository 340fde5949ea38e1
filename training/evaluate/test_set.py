"""The phantoms that every bundle of phantoms is measured on, fixed before any trained network was measured on them.

A hundred studies: fifty without blood, twenty of them with a mimic; fifty with blood, each of the five kinds leading
ten of them, every second one joined by another kind, two of each ten with a mimic beside. Sizes are those of the
generator. And five sets of forty, twenty with blood, each unlike all others in one way; of each study there is a twin
without its shift, since forty studies may be harder than the hundred by chance.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from typing import Final

from services.common.labels import SUBTYPES, Label
from training.phantom.study_options import SHIFTS, Shift, StudyOptions, StudyRequest

FIRST_SEED: Final = 3_000_000
SHIFTED_SEED: Final = 4_000_000
SEEDS_A_SHIFT: Final = 100_000


def _kinds(count: int) -> list[tuple[Label, ...]]:
    """The kinds lead in turn; in every second study the kind that leads so many studies later joins it."""
    leading = list(islice(cycle(SUBTYPES), count + len(SUBTYPES)))
    return [
        (leading[number], leading[number + 1 + number % (len(SUBTYPES) - 1)]) if number % 2 else (leading[number],)
        for number in range(count)
    ]


def _mimics(number: int) -> bool:
    """One round of all five kinds, and then every fifth round: what has a mimic beside says nothing of the kind."""
    return number // len(SUBTYPES) % 5 == 0


def _studies(first_seed: int, half: int, shift: Shift | None) -> tuple[StudyRequest, ...]:
    healthy = [StudyOptions((), mimic=number < 0.4 * half, shift=shift) for number in range(half)]
    bleeding = [StudyOptions(kinds, mimic=_mimics(number), shift=shift) for number, kinds in enumerate(_kinds(half))]
    return tuple(
        StudyRequest(first_seed + number, options=options) for number, options in enumerate([*healthy, *bleeding])
    )


TEST: Final = _studies(FIRST_SEED, 50, None)
SHIFTED: Final[dict[Shift, tuple[StudyRequest, ...]]] = {
    shift: _studies(SHIFTED_SEED + number * SEEDS_A_SHIFT, 20, shift) for number, shift in enumerate(SHIFTS)
}


def twins(studies: Sequence[StudyRequest]) -> tuple[StudyRequest, ...]:
    """Shifted studies without their shift, in the same order."""
    return tuple(replace(wanted, options=replace(wanted.options, twin=True)) for wanted in studies)

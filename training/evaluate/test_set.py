"""The fixed phantoms that every bundle of phantoms is measured on.

The test set has a hundred studies, fixed before any network was measured on it. Fifty have no haemorrhage; twenty of
them have a mimic. In the other fifty each of the five subtypes leads ten studies. A second subtype joins every second
study, and two of each ten have a mimic. Sizes are the generator's.

Five sets of forty studies, twenty with haemorrhage, each have one shift. Every study has a twin without the shift:
forty studies may be harder than the hundred by chance.
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
    """The subtypes of each study: they lead in turn, and another one joins every second study."""
    leading = list(islice(cycle(SUBTYPES), count + len(SUBTYPES)))
    return [
        (leading[number], leading[number + 1 + number % (len(SUBTYPES) - 1)]) if number % 2 else (leading[number],)
        for number in range(count)
    ]


def _mimics(number: int) -> bool:
    """True in every fifth round of the five kinds, so that mimics do not depend on the kind."""
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

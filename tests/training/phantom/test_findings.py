from collections import Counter

import numpy as np
import pytest

from services.common.labels import SUBTYPES, Label
from training.phantom.findings import ANOTHER, FIRST, draw_haemorrhages, draw_kinds
from training.phantom.haemorrhages import Cast, Crescent, Film, Haematoma, Lens, Sheet
from training.phantom.skull import Skull, draw_skull

SHAPES: dict[Label, tuple[type, ...]] = {
    "epidural": (Lens,),
    "intraparenchymal": (Haematoma,),
    "intraventricular": (Cast,),
    "subarachnoid": (Film,),
    "subdural": (Crescent, Sheet),
}


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Label, ...]]:
    rng = np.random.default_rng(0)
    return [draw_kinds(rng) for _ in range(4000)]


def test_half_of_all_studies_have_no_haemorrhage(drawn: list[tuple[Label, ...]]) -> None:
    assert sum(not kinds for kinds in drawn) / len(drawn) == pytest.approx(0.5, abs=0.03)


def test_single_findings_follow_their_frequencies(drawn: list[tuple[Label, ...]]) -> None:
    alone = Counter(kinds[0] for kinds in drawn if len(kinds) == 1)
    assert sum(FIRST.values()) == pytest.approx(1)
    for label in SUBTYPES:
        assert alone[label] / alone.total() == pytest.approx(FIRST[label], abs=0.05)


def test_a_study_has_up_to_three_different_kinds(drawn: list[tuple[Label, ...]]) -> None:
    positive = [kinds for kinds in drawn if kinds]
    assert {len(kinds) for kinds in positive} == {1, 2, 3}
    assert all(len(set(kinds)) == len(kinds) for kinds in positive)
    mean = sum(map(len, positive)) / len(positive)
    assert mean == pytest.approx(1 + ANOTHER + 0.4 * ANOTHER, abs=0.06)


@pytest.fixture(scope="module")
def skull() -> Skull:
    return draw_skull(np.random.default_rng(0))


@pytest.mark.parametrize("label", SUBTYPES)
def test_a_kind_is_drawn_in_its_own_shapes_only(label: Label, skull: Skull) -> None:
    rng = np.random.default_rng(1)
    found = [each for _ in range(60) for each in draw_haemorrhages(rng, label, skull)]
    assert {type(each) for each in found} == set(SHAPES[label])


def test_a_second_crescent_mirrors_the_first(skull: Skull) -> None:
    rng = np.random.default_rng(2)
    studies = [draw_haemorrhages(rng, "subdural", skull) for _ in range(80)]
    crescents = [[each for each in study if isinstance(each, Crescent)] for study in studies]
    pairs = [pair for pair in crescents if len(pair) == 2]
    assert pairs
    for first, second in pairs:
        assert second.centre_mm == (-first.centre_mm[0], *first.centre_mm[1:])


def test_the_same_seed_draws_the_same_haemorrhages(skull: Skull) -> None:
    for label in SUBTYPES:
        first, second = (draw_haemorrhages(np.random.default_rng(3), label, skull) for _ in range(2))
        assert first == second

"""The rules of refusal, and the evidence of many slices folded into one verdict."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.acceptance import CORRUPT_FILES, FOREIGN_FILES, RULES, fold, reason, refused
from services.common.schemas import Evidence

HEAD = Evidence(bone=0.06, brain=0.25, air=0.55)
VERTEX = Evidence(bone=0.035, brain=0.005, air=0.9)
SKULL_BASE = Evidence(bone=0.1, brain=0.1, air=0.58)
AIR = Evidence(bone=0, brain=0, air=1)
BLANK = Evidence(constant=True)
EMPTY_DECODE = Evidence(constant=True, compressed=True)


def codes(*evidence: Evidence) -> list[str]:
    return [item.code for item in fold(evidence)]


@pytest.mark.parametrize("item", [HEAD, VERTEX, SKULL_BASE])
def test_single_slices_of_a_head_are_accepted(item: Evidence) -> None:
    assert codes(item) == []


@pytest.mark.parametrize(
    "item",
    [
        AIR,
        Evidence(bone=0, brain=0.4, air=0.5),
        Evidence(bone=0.9, brain=0.05, air=0.05),
        Evidence(bone=0.3, brain=0.4, air=0),
    ],
    ids=["air", "no bone", "too bright", "intercept lost"],
)
def test_what_cannot_be_a_head_is_refused(item: Evidence) -> None:
    assert codes(item) == ["not_a_head"]
    assert refused(fold([item]))


def test_one_slice_of_a_head_speaks_for_the_series() -> None:
    assert codes(AIR, AIR, HEAD, AIR) == []


def test_blank_slices_among_others_warn() -> None:
    assert codes(HEAD, BLANK, HEAD) == ["blank_slices"]
    assert not refused(fold([HEAD, BLANK]))


def test_nothing_but_blank_slices_is_refused() -> None:
    assert codes(BLANK, BLANK) == ["constant_image"]


def test_one_empty_decode_is_refused() -> None:
    """A decoder that fails in silence would be a false negative."""
    assert codes(HEAD, HEAD, EMPTY_DECODE) == ["constant_image"]


@given(st.permutations([HEAD, AIR, BLANK, VERTEX, SKULL_BASE]))
def test_the_order_of_slices_does_not_matter(evidence: list[Evidence]) -> None:
    assert fold(evidence) == fold([HEAD, AIR, BLANK, VERTEX, SKULL_BASE])


def test_words_are_filled_in() -> None:
    found = reason("unusual_kvp", kvp=80.0)
    assert found.detail == "KVP is 80, outside 100 to 140: Hounsfield units may be off."
    assert found.severity == "warn"


def test_every_code_stands_once() -> None:
    assert not FOREIGN_FILES.keys() & CORRUPT_FILES.keys()
    assert not RULES.keys() & {*FOREIGN_FILES, *CORRUPT_FILES}

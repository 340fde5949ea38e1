"""Reasons from pixels: refusals and warnings by the evidence of all slices."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.acceptance import is_refused, make_reason, pixel_reasons
from services.common.file_codes import SET_ASIDE_FILES, UNUSABLE_FILES
from services.common.rules import RULES
from services.common.schemas import Evidence

HEAD = Evidence(bone=0.06, brain=0.25, air=0.55)
VERTEX = Evidence(bone=0.035, brain=0.005, air=0.9)
CROWN = Evidence(bone=0.12, brain=0.0037, air=0.82)  # bone and skin only, above the brain
HEADREST = Evidence(bone=0.0062, brain=0.0011, air=0.9865, centre_air=1)  # beside the last skin
FACE = Evidence(bone=0.0034, brain=0.1151, air=0.68, centre_air=0.52)  # the airway lies amid the bone
EMPTY_SKULL = Evidence(bone=0.0888, brain=0.0034, air=0.85, centre_air=0.7)
PLASTIC = Evidence(bone=0.0047, brain=0.0109, air=0.744, centre_air=0.875)
SKULL_BASE = Evidence(bone=0.1, brain=0.1, air=0.58)
AIR = Evidence(bone=0, brain=0, air=1)
BLANK = Evidence(constant=True)
EMPTY_DECODE = Evidence(constant=True, compressed=True)


def codes(*evidence: Evidence) -> list[str]:
    return [item.code for item in pixel_reasons(evidence)]


def in_500_mm(item: Evidence) -> Evidence:
    """The slice in a picture twice as wide."""
    return item.model_copy(
        update={"bone": item.bone / 4, "brain": item.brain / 4, "air": 1 - (1 - item.air) / 4, "metal": item.metal / 4}
    )


@pytest.mark.parametrize("item", [HEAD, SKULL_BASE, FACE])
def test_single_slices_of_a_head_are_accepted(item: Evidence) -> None:
    assert codes(item) == codes(in_500_mm(item)) == []


@pytest.mark.parametrize("item", [VERTEX, CROWN, HEADREST])
def test_slices_above_the_brain_warn(item: Evidence) -> None:
    (found,) = pixel_reasons([item])
    assert (found.code, found.severity) == ("little_brain", "warn")
    assert codes(item, item) == ["little_brain"]
    assert codes(HEAD, item) == []


@pytest.mark.parametrize("item", [VERTEX, CROWN])
def test_the_field_of_view_changes_no_reason(item: Evidence) -> None:
    assert codes(in_500_mm(item)) == codes(item)


@pytest.mark.parametrize("series", [[EMPTY_SKULL], [EMPTY_SKULL] * 6, [PLASTIC, *[EMPTY_SKULL] * 5]])
@pytest.mark.parametrize("change", [lambda item: item, in_500_mm])
def test_a_skull_without_a_brain_is_refused(series: list[Evidence], change: Callable[[Evidence], Evidence]) -> None:
    (found,) = pixel_reasons([change(item) for item in series], headwards=False)
    assert (found.code, found.severity) == ("not_a_head", "refuse")
    assert "is air" in found.detail


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
def test_slices_that_cannot_be_a_head_are_refused(item: Evidence) -> None:
    assert codes(item) == ["not_a_head"]
    assert is_refused(pixel_reasons([item]))


def test_one_slice_of_a_head_suffices_for_a_series() -> None:
    assert codes(AIR, AIR, HEAD, AIR) == []


def test_uniform_slices_among_others_warn() -> None:
    assert codes(HEAD, BLANK, HEAD) == ["blank_slices"]
    assert not is_refused(pixel_reasons([HEAD, BLANK]))


def test_a_series_of_uniform_slices_is_refused() -> None:
    assert codes(BLANK, BLANK) == ["constant_image"]


def test_one_uniform_compressed_slice_is_refused() -> None:
    """A decoder that fails without an error would cause a false negative."""
    assert codes(HEAD, HEAD, EMPTY_DECODE) == ["constant_image"]


@given(st.permutations([HEAD, AIR, BLANK, VERTEX, SKULL_BASE]))
def test_the_order_of_slices_changes_no_reason(evidence: list[Evidence]) -> None:
    assert pixel_reasons(evidence) == pixel_reasons([HEAD, AIR, BLANK, VERTEX, SKULL_BASE])


@pytest.mark.parametrize(
    ("air_hu", "code", "severity"),
    [
        (-1500, "wrong_scale", "refuse"),
        (-1150, "shifted_scale", "warn"),
        (-1050, None, None),
        (-950, None, None),
        (-890, "shifted_scale", "warn"),
        (-910, None, None),
        (-500, "wrong_scale", "refuse"),
    ],
)
def test_the_value_of_air_reveals_the_scale(air_hu: float, code: str | None, severity: str | None) -> None:
    found = pixel_reasons([HEAD.model_copy(update={"air_hu": air_hu}), HEAD])
    assert [(item.code, item.severity) for item in found] == ([(code, severity)] if code else [])


def test_metal_is_noted() -> None:
    (found,) = pixel_reasons(
        [HEAD, HEAD.model_copy(update={"metal": 0.001}), HEAD.model_copy(update={"metal": 0.0001})]
    )
    assert (found.code, found.severity) == ("metal", "note")
    assert found.detail.startswith("Metal in 1 of the slices")


WHOLE = [SKULL_BASE, SKULL_BASE, *[HEAD] * 6, VERTEX]


def test_a_head_cut_off_at_an_end_warns() -> None:
    assert pixel_reasons(WHOLE) == []
    (above,) = pixel_reasons([*WHOLE[:-1], HEAD])
    (below,) = pixel_reasons([HEAD, *WHOLE])
    assert (above.code, below.code) == ("part_missing", "part_missing")
    assert "highest" in above.detail
    assert "lowest" in below.detail


def test_few_slices_and_png_slices_get_no_warning_of_a_missing_part() -> None:
    assert codes(*[HEAD] * 7) == []
    assert pixel_reasons([HEAD] * 20, headwards=False) == []


def test_every_rule_has_a_message_a_rationale_and_a_source() -> None:
    assert all(rule.rationale.endswith(".") and rule.message.endswith(".") and rule.source for rule in RULES.values())
    assert RULES["constant_image"].fixed


def test_the_message_is_filled_in() -> None:
    found = make_reason("unusual_kvp", kvp=80.0)
    assert found.detail == "KVP is 80, outside 100 to 140: Hounsfield units may be off."
    assert found.severity == "warn"


def test_every_code_is_unique() -> None:
    assert not SET_ASIDE_FILES.keys() & UNUSABLE_FILES.keys()
    assert not RULES.keys() & {*SET_ASIDE_FILES, *UNUSABLE_FILES}


def test_a_skull_full_of_water_is_refused() -> None:
    water = Evidence(bone=0.044, brain=0.004, air=0.57, centre_air=0, air_hu=-995)
    assert "not_a_head" in codes(*[water] * 28)
    assert "not_a_head" not in codes(*[water] * 3)

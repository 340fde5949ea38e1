import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.negotiation import best_match

JSON, LINES, CSV = OFFERED = ("application/json", "application/x-ndjson", "text/csv")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("*", JSON),
        ("application/json", JSON),
        ("text/csv", CSV),
        ("TEXT/CSV", CSV),
        ("text/csv;header=present", CSV),
        ("text/csv; charset=utf-8; q=0.9", CSV),
        ("text/*", CSV),
        ("application/*", JSON),
        ("application/x-ndjson, application/json", JSON),
        ("application/x-ndjson, application/json;q=0.9", LINES),
        ("text/csv;q=0.1, application/x-ndjson;q=0.2", LINES),
        ("application/json;q=0, */*", LINES),
        ("application/json;q=0.2, */*;q=0.1", JSON),
        ("application/*;q=0, */*;q=0.001", CSV),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", JSON),
        ("text/html", None),
        ("application/json;q=0", None),
        ("*/*;q=0", None),
        ("application/jsonp", None),
        ("not-application/json", None),
        ("text/csv;q=2", None),
        ("text/csv;q=high, application/x-ndjson;q=0.1", LINES),
        (",;,text/csv", CSV),
    ],
)
def test_the_representation_of_highest_weight_is_chosen(accept: str, chosen: str | None) -> None:
    assert best_match(accept, OFFERED) == chosen


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip", True), ("gzip, deflate, br", True), ("gzip;q=0", False), ("*", True), ("br", False), ("*;q=0", False)],
)
def test_encodings_are_chosen_by_the_same_rule(accepted: str, *, packed: bool) -> None:
    assert (best_match(accepted, ("gzip",)) == "gzip") == packed


@given(st.text())
def test_any_header_gives_an_offer_or_none(accept: str) -> None:
    assert best_match(accept, OFFERED) in (*OFFERED, None)


@given(st.permutations(OFFERED), st.floats(0.01, 1))
def test_the_order_of_elements_does_not_matter(order: list[str], weight: float) -> None:
    weights = dict(zip(OFFERED, (0.2, round(weight, 3), 0.1), strict=True))
    header = ", ".join(f"{name};q={weights[name]}" for name in order)
    assert best_match(header, OFFERED) == max(OFFERED, key=lambda name: weights[name])

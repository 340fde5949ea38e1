from hypothesis import given
from hypothesis import strategies as st

from services.common.labels import LABELS
from services.gateway.feedback.opinions import About, StoredOpinion, latest_opinions, parse_opinions
from services.gateway.feedback.schemas import OPINIONS

ABOUT = st.builds(About, st.integers(0, 50_000), st.sampled_from(LABELS), st.none() | st.integers(0, 5000))
STORED = st.builds(
    StoredOpinion,
    st.integers(0, 10_000),
    st.integers(0, 10**13 - 1),
    ABOUT,
    st.none() | st.sampled_from(OPINIONS),
    st.booleans(),
    st.from_regex("[A-Za-z0-9-]{1,32}", fullmatch=True),
)


@given(STORED)
def test_a_name_holds_an_opinion(opinion: StoredOpinion) -> None:
    assert StoredOpinion.parse(opinion.name) == opinion
    assert len(opinion.name) < 255


def test_other_names_are_passed_over() -> None:
    later_version = "000000.1795554948123.000000.-.any.maybe.present.ann"
    assert (
        parse_opinions([".part", "a.b", later_version, "000000.1795554948123.000000.-.fracture.agree.present.ann"])
        == []
    )


def test_the_order_decides_and_not_the_clock() -> None:
    about = About(0, "any", None)
    first = StoredOpinion(0, 2000, about, "agree", predicted=True, reader="ann")
    second = StoredOpinion(1, 1000, about, "disagree", predicted=True, reader="ann")  # after the clock was set back
    names = sorted((second.name, first.name))
    assert latest_opinions(parse_opinions(names)) == [second]

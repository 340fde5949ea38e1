from hypothesis import given
from hypothesis import strategies as st

from services.common.schemas import Evidence, SeriesHeader, SliceReference
from services.common.series_evidence import series_evidence

SHARES = st.floats(0, 1)


def header(*position_mm: float, uid: str | None = "2.25.2") -> SeriesHeader:
    items = tuple(SliceReference(file=index) for index in range(len(position_mm)))
    return SeriesHeader(uid=uid, study_uid="2.25.1", items=items, position_mm=position_mm, thickness_mm=5)


def test_shares_are_medians_over_the_slices_read() -> None:
    seen = [
        Evidence(bone=0.1, brain=0.2, air=0.3, metal=0.0, air_hu=-1000),
        Evidence(bone=0.3, brain=0.4, air=0.5, metal=0.2),
        Evidence(bone=0.2, brain=0.0, air=0.4, metal=0.1, air_hu=-980, constant=True),
        Evidence(bone=1.0, failed="corrupt_pixels"),
    ]
    found = series_evidence(header(0, 5, 10, 20), seen)
    assert (found.slices_read, found.constant_slices) == (3, 1)
    assert (found.bone, found.brain, found.air, found.metal, found.air_hu) == (0.2, 0.2, 0.4, 0.1, -990)
    assert (found.thickness_mm, found.spacing_mm, found.length_mm) == (5, 5, 20)


def test_unmeasured_values_are_null() -> None:
    by_header = series_evidence(header(0, 5), [])
    assert by_header.slices_read == 0
    assert [by_header.bone, by_header.brain, by_header.air, by_header.metal, by_header.air_hu] == [None] * 5
    pictures = series_evidence(header(0, 0, uid=None), [Evidence(), Evidence()])
    assert (pictures.spacing_mm, pictures.length_mm) == (None, None)


@given(st.lists(st.tuples(SHARES, SHARES), min_size=1))
def test_a_median_lies_between_the_least_and_the_most(shares: list[tuple[float, float]]) -> None:
    found = series_evidence(header(*map(float, range(len(shares)))), [Evidence(bone=b, air=a) for b, a in shares])
    for median, values in ((found.bone, [b for b, _ in shares]), (found.air, [a for _, a in shares])):
        assert median is not None
        assert min(values) - 1e-4 <= median <= max(values) + 1e-4

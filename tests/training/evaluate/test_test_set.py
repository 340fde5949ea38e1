from collections import Counter
from dataclasses import replace

import pytest

from services.common.labels import SUBTYPES
from training.evaluate.test_set import SHIFTED, TEST, twins
from training.phantom.study_options import SHIFTS, StudyRequest


def test_half_of_the_studies_have_blood_and_every_kind_leads_ten() -> None:
    requested = [wanted.options for wanted in TEST]
    healthy = [options for options in requested if options.kinds == ()]
    assert len(requested) == 100
    assert len(healthy) == 50
    assert sum(bool(options.mimic) for options in healthy) == 20
    leading = Counter(options.kinds[0] for options in requested if options.kinds)
    assert leading == dict.fromkeys(SUBTYPES, 10)
    assert all(len(set(options.kinds)) == len(options.kinds) for options in requested if options.kinds)


@pytest.mark.parametrize(("studies", "of_each"), [(TEST, 2), *((every, 1) for every in SHIFTED.values())])
def test_a_mimic_is_as_frequent_with_every_kind(studies: tuple[StudyRequest, ...], of_each: int) -> None:
    beside = Counter(wanted.options.kinds[0] for wanted in studies if wanted.options.mimic and wanted.options.kinds)
    assert beside == dict.fromkeys(SUBTYPES, of_each)


def test_each_shift_has_forty_studies_of_its_own() -> None:
    assert tuple(SHIFTED) == SHIFTS
    for shift, every in SHIFTED.items():
        assert len(every) == 40
        assert {wanted.options.shift for wanted in every} == {shift}
        assert sum(wanted.options.kinds == () for wanted in every) == 20


def test_twins_are_the_same_studies_without_their_shift() -> None:
    for every in SHIFTED.values():
        pairs = list(zip(every, twins(every), strict=True))
        assert all(twin == replace(wanted, options=replace(wanted.options, twin=True)) for wanted, twin in pairs)

from collections import Counter
from dataclasses import replace

import pytest

from services.common.labels import SUBTYPES
from training.evaluate.test_set import SHIFTED, TEST, twins
from training.phantom.study_options import SHIFTS, Wanted


def test_half_of_the_studies_have_blood_and_every_kind_leads_ten() -> None:
    orders = [wanted.order for wanted in TEST]
    healthy = [order for order in orders if order.kinds == ()]
    assert len(orders) == 100
    assert len(healthy) == 50
    assert sum(bool(order.mimic) for order in healthy) == 20
    leading = Counter(order.kinds[0] for order in orders if order.kinds)
    assert leading == dict.fromkeys(SUBTYPES, 10)
    assert all(len(set(order.kinds)) == len(order.kinds) for order in orders if order.kinds)


@pytest.mark.parametrize(("studies", "of_each"), [(TEST, 2), *((every, 1) for every in SHIFTED.values())])
def test_a_mimic_stands_beside_every_kind_alike(studies: tuple[Wanted, ...], of_each: int) -> None:
    beside = Counter(wanted.order.kinds[0] for wanted in studies if wanted.order.mimic and wanted.order.kinds)
    assert beside == dict.fromkeys(SUBTYPES, of_each)


def test_each_shift_has_forty_studies_of_its_own() -> None:
    assert tuple(SHIFTED) == SHIFTS
    for shift, every in SHIFTED.items():
        assert len(every) == 40
        assert {wanted.order.shift for wanted in every} == {shift}
        assert sum(wanted.order.kinds == () for wanted in every) == 20


def test_twins_are_the_same_studies_without_their_shift() -> None:
    for every in SHIFTED.values():
        pairs = list(zip(every, twins(every), strict=True))
        assert all(twin == replace(wanted, order=replace(wanted.order, twin=True)) for wanted, twin in pairs)

from services.common.labels import Label
from training.phantom.breadth import NOISE_HU
from training.phantom.orders import Order
from training.phantom.study import draw_patient

SEEDS = range(9_400_000, 9_400_040)
KINDS: tuple[Label, ...] = ("subdural",)
USUAL, BROAD = ([draw_patient(seed, Order(kinds=KINDS, broad=broad)) for seed in SEEDS] for broad in (False, True))


def test_about_half_of_the_scanners_change_and_none_reaches_the_shifted_noise() -> None:
    changed = [broad.scanner for usual, broad in zip(USUAL, BROAD, strict=True) if usual.scanner != broad.scanner]
    assert 10 < len(changed) < 30
    assert all(NOISE_HU[0] <= scanner.noise_hu <= NOISE_HU[1] for scanner in changed)


def test_about_half_of_the_bleeds_are_paler_and_none_is_denser() -> None:
    paler = [usual.bleeds[0].blood.hu - broad.bleeds[0].blood.hu for usual, broad in zip(USUAL, BROAD, strict=True)]
    assert min(paler) == 0
    assert max(paler) <= 5
    assert 10 < sum(value > 0 for value in paler) < 30


def test_everything_else_stays_as_it_is() -> None:
    for usual, broad in zip(USUAL, BROAD, strict=True):
        assert (usual.skull, usual.scan, usual.mimics) == (broad.skull, broad.scan, broad.mimics)

from dataclasses import replace

from services.common.labels import Label
from training.phantom.breadth import NOISE_HU, ROOM_MM
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


def test_about_half_of_the_heads_are_full_and_about_half_busier_at_the_base() -> None:
    pairs = list(zip(USUAL, BROAD, strict=True))
    full = [broad.skull.head.room_mm for usual, broad in pairs if usual.skull != broad.skull]
    busier = [broad for usual, broad in pairs if len(broad.mimics.grains) > len(usual.mimics.grains)]
    assert 10 < len(full) < 30
    assert max(full) <= ROOM_MM[1]
    assert 10 < len(busier) < 30


def test_everything_else_stays_as_it_is() -> None:
    for usual, broad in zip(USUAL, BROAD, strict=True):
        assert usual.scan == broad.scan
        assert usual.mimics.grains[:3] == broad.mimics.grains[:3]
        assert replace(usual.skull, head=broad.skull.head, holes=broad.skull.holes) == broad.skull

from dataclasses import replace

import numpy as np
import pytest

from training.phantom.mimics import KINDS, Mimics, draw_mimics, with_contrast_agent
from training.phantom.skull import draw_skull
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import StudyOptions

SEED = 9_300_000
SKULL = draw_skull(np.random.default_rng(3))


def _more(mimics: Mimics) -> bool:
    return bool(mimics.rods or mimics.swellings or mimics.fluids or mimics.holes or mimics.contrast_hu)


def test_options_without_mimics_has_only_what_every_brain_has() -> None:
    for seed in range(30):
        mimics = draw_mimics(np.random.default_rng(seed), SKULL, wanted=False)
        assert not _more(mimics)
        assert len(mimics.grains) <= 10


def test_half_of_the_studies_have_mimics_by_default() -> None:
    # Of the studies with mimics about six in ten have more than grains.
    shares = [
        np.mean([_more(draw_mimics(np.random.default_rng(seed), SKULL, wanted=wanted)) for seed in range(200)])
        for wanted in (None, True)
    ]
    assert shares[0] == pytest.approx(shares[1] / 2, abs=0.1)


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_every_kind_changes_the_picture_and_is_no_blood(kind: int) -> None:
    plain = draw_patient(SEED, StudyOptions(kinds=(), mimic=False))
    mimics = plain.mimics + KINDS[kind](np.random.default_rng(kind), plain.skull)
    skull = replace(plain.skull, holes=mimics.holes)
    mimicking = replace(plain, mimics=mimics, skull=skull, brain=with_contrast_agent(plain.brain, mimics))
    every = range(4, len(plain.scan.position_mm), 2)
    study = make_study(mimicking, every)
    assert not study.masks.any()
    assert np.abs(study.hu - make_study(plain, every).hu.astype(int)).max() > 4

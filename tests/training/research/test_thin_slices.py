"""Averaging brings thin slices to the answer that the same head gets in 5 mm slices."""

from pathlib import Path

import pytest

from services.common.card import open_bundle
from training.evaluate.served_bundle import ServedBundle
from training.research.thin_slices import THICK_MM, any_of, drawn

HEALTHY = 3  # of the studies in docs/explanation/thin-slices.md; as they are, its thin slices score .36 higher


def test_thin_and_thick_slices_of_one_head_get_one_answer() -> None:
    served = ServedBundle(open_bundle(Path("models/default")))
    assert any_of(served, drawn(HEALTHY, 1.25)) == pytest.approx(any_of(served, drawn(HEALTHY, THICK_MM)), abs=0.15)

"""Averaging brings thin slices to the answer that the same head gets in 5 mm slices."""

from pathlib import Path

import pytest

from services.common.card import open_bundle
from training.research.thin_slices import THICK_MM, Served, drawn

HEALTHY = 3  # of the studies in docs/explanation/thin-slices.md; as they are, its thin slices score .36 higher


def test_thin_and_thick_slices_of_one_head_get_one_answer() -> None:
    served = Served(open_bundle(Path("models/default")))
    assert served.any_of(drawn(HEALTHY, 1.25)) == pytest.approx(served.any_of(drawn(HEALTHY, THICK_MM)), abs=0.15)

import pytest
from pydantic import ValidationError

from services.common.recipe import DEFAULT_RECIPE, Recipe, Window


def test_the_default_is_the_source_projects_recipe() -> None:
    edges = [(window.lower_hu, window.upper_hu) for window in DEFAULT_RECIPE.windows]
    assert edges == [(-800, 2000), (-20, 180), (-150, 230)]


def test_the_fingerprint_identifies_the_pixels() -> None:
    """Every bundle's card holds the fingerprint: a change makes all bundles unusable."""
    assert DEFAULT_RECIPE.fingerprint == "fcbe341fbbbc"
    bone, subdural, soft = DEFAULT_RECIPE.windows
    others = [
        Recipe(windows=(subdural, bone, soft)),
        Recipe(windows=(bone, subdural, Window(name="soft_tissue", center_hu=41, width_hu=380))),
        Recipe(windows=DEFAULT_RECIPE.windows, rows=256, columns=256),
    ]
    assert len({recipe.fingerprint for recipe in [DEFAULT_RECIPE, *others]}) == 4


def test_a_window_without_width_is_refused() -> None:
    with pytest.raises(ValidationError):
        Window(name="none", center_hu=0, width_hu=0)

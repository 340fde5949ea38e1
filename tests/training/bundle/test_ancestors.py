from pathlib import Path
from typing import Any

import pytest

from services.common.card import BundleError, open_bundle
from tests.bundles import write_bundle
from training.bundle.ancestors import ancestors_of, list_ancestors

SHIPPED = Path("models/default")


def _uses(ancestors: list[dict[str, Any]]) -> list[tuple[str, str | None, bool, float | None]]:
    keys = ("card_sha256", "used_by", "initial_weights", "soup_weight")
    return [
        (each[keys[0]][:4], each[keys[1]] and each[keys[1]][:4], each[keys[2]], each[keys[3]]) for each in ancestors
    ]


def test_a_bundle_without_ancestors_lists_none() -> None:
    assert list_ancestors(None, None, 0.5) == []
    assert ancestors_of({"command": "train"}) == []


def test_the_ancestors_of_a_new_bundle_are_its_parents_and_theirs() -> None:
    parent = open_bundle(SHIPPED)
    found = list_ancestors(SHIPPED, SHIPPED, 0.65)
    assert len(found) == 1 + len(parent.card.training["ancestors"])
    assert found[0]["card_sha256"] == parent.card_sha256
    assert (found[0]["used_by"], found[0]["initial_weights"], found[0]["soup_weight"]) == (None, True, 0.65)
    assert found[0]["command"] == parent.card.training["command"]
    assert "ancestors" not in found[0]
    assert found[1]["used_by"] == parent.card_sha256


def test_two_parents_are_two_entries(tmp_path: Path) -> None:
    other = write_bundle(tmp_path)
    first, second = (each for each in list_ancestors(other, SHIPPED, 0.2) if each["used_by"] is None)
    assert (first["initial_weights"], first["soup_weight"]) == (True, None)
    assert (second["initial_weights"], second["soup_weight"]) == (False, 0.2)


def test_nested_records_of_an_older_card_are_read() -> None:
    oldest = {"name": "c", "card_sha256": "cccc", "minutes": 3}
    older = {"name": "b", "card_sha256": "bbbb", "stirred_in": oldest, "stirred": 0.2, "minutes": 2}
    training = {"begins_as": older, "stirred_in": older, "stirred": 0.35, "minutes": 1}
    found = ancestors_of(training)
    assert _uses(found) == [("bbbb", None, True, 0.35), ("cccc", "bbbb", False, 0.2)]
    assert [each["minutes"] for each in found] == [2, 3]
    assert all("stirred" not in key and key != "begins_as" for each in found for key in each)


def test_the_shipped_card_lists_its_four_ancestors() -> None:
    training = open_bundle(SHIPPED).card.training
    assert _uses(training["ancestors"]) == [
        ("8b57", None, True, 0.65),
        ("d7bc", "8b57", True, 0.35),
        ("c831", "d7bc", False, 0.2),
        ("1cc6", "c831", True, None),
    ]
    assert ancestors_of(training) == training["ancestors"]


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        list_ancestors(tmp_path, None, 0.5)

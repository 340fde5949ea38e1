import json
from pathlib import Path

import pytest

from services.common.card import BundleError, open_bundle
from tests.bundles import write_bundle


def test_a_bundle_that_its_card_matches_is_opened(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path))
    assert bundle.card.name == "fake"
    assert bundle.saved_model("cnn") == tmp_path / "cnn" / "1"
    assert len(bundle.card_sha256) == 64


@pytest.mark.parametrize("change", ["changed", "missing", "added"])
def test_a_bundle_that_its_card_does_not_match_is_refused(tmp_path: Path, change: str) -> None:
    write_bundle(tmp_path)
    graph = tmp_path / "cnn" / "1" / "saved_model.pb"
    if change == "changed":
        graph.write_bytes(b"another graph")
    elif change == "missing":
        graph.unlink()
    else:
        (graph.parent / "more.pb").write_bytes(b"")

    with pytest.raises(BundleError, match="not the file that the card speaks of"):
        open_bundle(tmp_path)


@pytest.mark.parametrize(
    ("member", "value"),
    [("labels", ["any"]), ("thresholds", {}), ("surprise", 1), ("feature_size", 0)],
)
def test_a_card_that_is_not_valid_is_refused(tmp_path: Path, member: str, value: object) -> None:
    path = write_bundle(tmp_path) / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), member: value}))

    with pytest.raises(BundleError, match="not a valid card"):
        open_bundle(tmp_path)


def test_no_card_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no readable card\.json"):
        open_bundle(tmp_path)

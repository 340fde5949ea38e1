import hashlib
import json
import logging
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.common.card import BundleError, Card, open_bundle
from services.common.labels import LABELS
from tests.bundles import write_bundle


def test_a_bundle_that_matches_its_card_is_opened(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path))
    assert bundle.card.name == "fake"
    assert bundle.saved_model("cnn") == tmp_path / "cnn" / "1"
    assert len(bundle.card_sha256) == 64


@pytest.mark.parametrize("change", ["changed", "missing", "added"])
def test_a_bundle_that_differs_from_its_card_is_refused(tmp_path: Path, change: str) -> None:
    write_bundle(tmp_path)
    graph = tmp_path / "cnn" / "1" / "saved_model.pb"
    if change == "changed":
        graph.write_bytes(b"another graph")
    elif change == "missing":
        graph.unlink()
    else:
        (graph.parent / "more.pb").write_bytes(b"")

    wanted = "does not list 'cnn/1/more.pb'" if change == "added" else "'cnn/1/saved_model.pb' has another SHA-256 than"
    with pytest.raises(BundleError, match=wanted):
        open_bundle(tmp_path)


def test_a_second_card_below_the_bundle_is_a_file_like_another(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    (tmp_path / "cnn" / "1" / "card.json").write_text("{}")
    with pytest.raises(BundleError, match=r"does not list 'cnn/1/card\.json'"):
        open_bundle(tmp_path)


@pytest.mark.parametrize("name", ["../other.pb", "/etc/hostname", "cnn/../../other.pb"])
def test_a_card_cannot_list_a_file_outside_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "other.pb").write_bytes(b"other")
    path = write_bundle(tmp_path / "bundle") / "card.json"
    document = json.loads(path.read_text())
    document["files"][name] = hashlib.sha256(b"other").hexdigest()
    path.write_text(json.dumps(document))
    with pytest.raises(BundleError, match="has another SHA-256 than"):
        open_bundle(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("member", "value"),
    [("labels", ["any"]), ("thresholds", {}), ("surprise", 1), ("feature_size", 0)],
)
def test_an_invalid_card_is_refused(tmp_path: Path, member: str, value: object) -> None:
    path = write_bundle(tmp_path) / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), member: value}))

    with pytest.raises(BundleError, match="not a valid card"):
        open_bundle(tmp_path)


def test_a_missing_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no readable card\.json"):
        open_bundle(tmp_path)


def _rewritten(path: Path, **thresholds: float) -> Path:
    """The fake bundle's card with one threshold per point."""
    card = json.loads(path.read_text())
    levels = {name: dict.fromkeys(LABELS, value) for name, value in thresholds.items()}
    card["thresholds"] |= {name: {"slice": even, "series": even} for name, even in levels.items()}
    path.write_text(json.dumps(card))
    return path


def test_an_older_card_with_unordered_points_is_clamped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _rewritten(write_bundle(tmp_path) / "card.json", sensitive=0.7, specific=0.2)

    with caplog.at_level(logging.WARNING):
        bundle = open_bundle(tmp_path)

    assert all(set(bundle.card.thresholds[point].series.values()) == {0.5} for point in ("sensitive", "specific"))
    assert bundle.card_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    (record,) = caplog.records
    assert "'fake'" in record.getMessage()
    assert "specific, series: any, epidural" in record.getMessage()


def test_a_new_card_with_unordered_points_is_refused(tmp_path: Path) -> None:
    path = _rewritten(write_bundle(tmp_path) / "card.json", specific=0.2)
    with pytest.raises(ValidationError, match="sensitive <= default <= specific"):
        Card.model_validate_json(path.read_bytes())


def test_a_card_with_ordered_points_logs_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _rewritten(write_bundle(tmp_path) / "card.json", specific=0.9)
    assert open_bundle(tmp_path).card.thresholds["specific"].slice["any"] == 0.9
    assert caplog.records == []


@pytest.mark.parametrize("value", [float("nan"), -0.2, 1.5])
def test_a_threshold_outside_0_to_1_is_refused(tmp_path: Path, value: float) -> None:
    _rewritten(write_bundle(tmp_path) / "card.json", sensitive=value)
    with pytest.raises(BundleError, match="not a valid card"):
        open_bundle(tmp_path)

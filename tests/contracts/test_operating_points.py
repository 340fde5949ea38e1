"""A card of an older version with operating points out of order: reports use the clamped thresholds."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from services.cnn.app import create_app as create_cnn
from services.cnn.settings import Settings as CnnSettings
from services.common.card import open_bundle
from services.common.labels import LABELS, SUBTYPES
from services.rnn.app import create_app as create_rnn
from services.rnn.settings import Settings as RnnSettings
from tests.bundles import write_bundle
from tests.contracts.conftest import Chain, FeatureScorer, MeanExtractor
from tests.scans import ct_slice, series

pytestmark = pytest.mark.anyio
POINTS = ("sensitive", "default", "specific")


@pytest.fixture
def older(chain: Chain) -> Chain:
    """The chain with a bundle of version 0.1.0: `specific` lies below the default, `sensitive` of `any` above it."""
    folder = write_bundle(chain.bundle.with_name("older"), name="older")
    card = json.loads((folder / "card.json").read_text())
    low = dict.fromkeys(LABELS, 0.02)
    card["thresholds"]["sensitive"] = {"slice": low | {"any": 0.9}, "series": low | {"any": 0.9}}
    card["thresholds"]["specific"] = {"slice": low, "series": low}
    (folder / "card.json").write_text(json.dumps(card))
    bundle = open_bundle(folder)
    chain.transports["cnn"].inner = httpx.ASGITransport(create_cnn(MeanExtractor(), bundle, CnnSettings()))
    chain.transports["rnn"].inner = httpx.ASGITransport(create_rnn(FeatureScorer(), bundle, RnnSettings()))
    return chain


def _present(predictions: Mapping[str, bool]) -> set[str]:
    return {label for label in LABELS if predictions[label]}


def _consistent(report: Mapping[str, Any]) -> None:
    whole = report["series"]["predictions"]
    for found in (whole, *(item["predictions"] for item in report["slices"])):
        assert found["any"] >= any(found[label] for label in SUBTYPES)
        assert _present(found) <= _present(whole)
    assert [": present" in line for line in report["findings"]] == list(whole.values())


async def test_reports_use_the_thresholds_that_the_model_states(older: Chain) -> None:
    answer = (await older.client.get("/v1/models")).json()
    assert answer["card"]["name"] == "older"
    stated = answer["card"]["thresholds"]
    assert set(stated["specific"]["slice"].values()) == {0.5}
    assert stated["sensitive"]["slice"]["any"] == 0.5
    report = (await older.predict(series(5), operating_point="specific")).json()
    assert report["thresholds"]["series"] == stated["specific"]["series"]


@pytest.mark.parametrize("count", [1, 5])
async def test_predictions_are_consistent_within_and_between_operating_points(older: Chain, count: int) -> None:
    files = series(count) if count > 1 else {"a.dcm": ct_slice()}
    reports = [(await older.predict(files, operating_point=point)).json() for point in POINTS]
    for report in reports:
        _consistent(report)
    found = [_present(report["series"]["predictions"]) for report in reports]
    assert found[0] >= found[1] >= found[2]
    assert "any" in found[0]  # by its subtypes: its own probability lies below the threshold
    if count == 1:
        for report in reports:
            assert report["series"]["predictions"] == report["slices"][0]["predictions"]
            assert report["series"]["probabilities"] == report["slices"][0]["probabilities"]

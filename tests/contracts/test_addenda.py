"""Addenda of a bundle pass from rnn, which verifies them, to `GET /v1/models`."""

from pathlib import Path

import httpx
import pytest

from services.common.addenda import Addendum
from services.common.card import open_bundle
from services.rnn.app import create_app as create_rnn
from services.rnn.settings import Settings as RnnSettings
from tests.addenda import addendum_of, write_addendum
from tests.bundles import write_bundle
from tests.contracts.conftest import Chain, FeatureScorer

pytestmark = pytest.mark.anyio


@pytest.fixture
def attached(chain: Chain, tmp_path: Path) -> tuple[Chain, Addendum]:
    """The chain whose bundle has an addendum, and one of another bundle."""
    folder = write_bundle(tmp_path / "attached")
    addendum = addendum_of(folder)
    write_addendum(folder, addendum)
    write_addendum(folder, addendum_of(write_bundle(tmp_path / "another", name="another"), "of-another"))
    app = create_rnn(FeatureScorer(), open_bundle(folder), RnnSettings())
    chain.transports["rnn"].inner = httpx.ASGITransport(app)
    return chain, addendum


async def test_the_models_response_holds_the_addenda_of_the_card(attached: tuple[Chain, Addendum]) -> None:
    chain, addendum = attached
    answer = (await chain.client.get("/v1/models")).json()
    assert answer["addenda"] == [addendum.model_dump(mode="json")]
    assert [each["name"] for each in answer["addenda_refused"]] == ["of-another.json"]
    assert "another card" in answer["addenda_refused"][0]["why"]
    assert (answer["prevalence"], answer["card_figures"]) == (None, None)


async def test_the_models_response_names_the_engines_that_the_stages_state(chain: Chain) -> None:
    app = create_rnn(FeatureScorer(), open_bundle(chain.bundle), RnnSettings(), "openvino 2026.4.1")
    chain.transports["rnn"].inner = httpx.ASGITransport(app)
    assert (await chain.client.get("/v1/models")).json()["engines"] == {"cnn": "means 1.0", "rnn": "openvino 2026.4.1"}

"""A stage is down, slow, faulty or of another bundle: a problem within the time-out, then recovery."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from services.cnn.app import create_app as create_cnn
from services.cnn.settings import Settings as CnnSettings
from services.common.card import open_bundle
from services.common.recipe import Recipe, Window
from services.gateway.stages.stage_retries import Cause
from services.rnn.app import create_app as create_rnn
from services.rnn.settings import Settings as RnnSettings
from tests.bundles import fake_bundle
from tests.contracts.conftest import Chain, FeatureScorer, MeanExtractor, Swappable
from tests.scans import ct_slice, series

pytestmark = pytest.mark.anyio

STAGES = ("preprocess", "cnn", "rnn")
Floats = NDArray[np.float32]
Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Broken(httpx.AsyncBaseTransport):
    """Responds by a function."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._answer(request)


async def _refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


async def _reset(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("reset", request=request)


async def _hang(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("slow", request=request)


async def _late(request: httpx.Request) -> httpx.Response:
    return httpx.Response(504, stream=httpx.ByteStream(b'{"code": "too_late"}'), request=request)


async def _fail(request: httpx.Request) -> httpx.Response:
    return httpx.Response(500, stream=httpx.ByteStream(b'{"title": "an inner fault"}'), request=request)


async def _malformed(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(b"<html>"), request=request)


async def _busy(request: httpx.Request) -> httpx.Response:
    return httpx.Response(503, stream=httpx.ByteStream(b"{}"), request=request)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (_refuse, 502, "stage_failed"),
        (_reset, 502, "stage_failed"),
        (_hang, 504, "stage_slow"),
        (_late, 504, "stage_slow"),
        (_fail, 502, "stage_failed"),
        (_malformed, 502, "stage_failed"),
        (_busy, 503, "stage_busy"),
    ],
)
async def test_a_fault_of_a_stage_is_a_problem_until_it_ends(
    chain: Chain, stage: str, fault: Answer, status: int, code: str
) -> None:
    good = chain.transports[stage].inner
    await chain.predict(series(2))
    chain.transports[stage].inner = Broken(fault)

    for files in (series(2), series(9)):
        answer = await chain.predict(files)
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["stage"]) == (status, code, stage)
        assert int(answer.headers["retry-after"]) > 0
        assert "inner fault" not in answer.text

    chain.transports[stage].inner = good
    assert (await chain.predict(series(9))).status_code == 200


async def _break(request: httpx.Request) -> httpx.Response:
    raise httpx.RemoteProtocolError("closed", request=request)


async def _proxy_fails(request: httpx.Request) -> httpx.Response:
    return httpx.Response(502, stream=httpx.ByteStream(b"<html>"), request=request)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("answers", "cause"), [([_break], "broken"), ([_proxy_fails], "broken"), ([_busy], "busy"), ([_refuse], "refused")]
)
async def test_another_replica_answers(chain: Chain, stage: str, answers: list[Answer], cause: Cause) -> None:
    good, left = chain.transports[stage].inner, {"GET": [*answers], "POST": [*answers]}

    async def once(request: httpx.Request) -> httpx.Response:
        return await (left[request.method].pop() if left[request.method] else good.handle_async_request)(request)

    chain.transports[stage].inner = Broken(once)

    assert (await chain.predict(series(9))).status_code == 200
    assert not left["POST"]
    counted = chain.gateway.state.metrics.registry.get_sample_value(
        "ich_stage_retries_total", {"stage": stage, "cause": cause}
    )
    assert counted == 2 - len(left["GET"])


async def test_no_refusal_of_the_request_is_tried_again(chain: Chain) -> None:
    async def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(422, stream=httpx.ByteStream(b"{}"), request=request)

    chain.transports["cnn"].inner = refusing = Swappable(chain.apps["cnn"])
    refusing.inner = Broken(refuse)

    assert (await chain.predict(series(2))).status_code == 502
    assert refusing.requests == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.5, -0.1])
async def test_a_score_that_is_no_probability_is_502(chain: Chain, value: float) -> None:
    class Wrong(FeatureScorer):
        def score(self, features: Floats, position_mm: Floats) -> tuple[Floats, Floats]:
            _, series_probabilities = super().score(features, position_mm)
            return np.full_like(features, value), series_probabilities

    bundle = open_bundle(chain.bundle)
    chain.transports["rnn"].inner = Swappable(create_rnn(Wrong(), bundle, RnnSettings()))

    answer = await chain.predict({"a.dcm": ct_slice()})

    assert (answer.status_code, answer.json()["code"]) == (502, "stage_failed")


async def test_another_recipe_is_refused_and_makes_the_gateway_unready(chain: Chain, tmp_path: Path) -> None:
    assert (await chain.client.get("/readyz")).status_code == 200
    narrow = Window(name="brain", center_hu=40, width_hu=80)
    bundle = fake_bundle(tmp_path / "other", recipe=Recipe(windows=(narrow, narrow, narrow)))
    chain.transports["cnn"].inner = Swappable(create_cnn(MeanExtractor(), bundle, CnnSettings()))

    answer = await chain.predict({"a.dcm": ct_slice()})
    unready = await chain.client.get("/readyz")

    assert (answer.status_code, answer.json()["code"]) == (502, "recipe_mismatch")
    assert (unready.status_code, unready.json()["cause"]) == (503, "recipe_mismatch")


async def test_cnn_and_rnn_of_different_bundles_are_refused(chain: Chain, tmp_path: Path) -> None:
    bundle = fake_bundle(tmp_path / "other", name="other")
    chain.transports["cnn"].inner = Swappable(create_cnn(MeanExtractor(), bundle, CnnSettings()))

    answer = await chain.predict({"a.dcm": ct_slice()})
    unready = await chain.client.get("/readyz")

    assert (answer.status_code, answer.json()["code"]) == (502, "bundle_mismatch")
    assert (unready.status_code, unready.json()["cause"]) == (503, "bundle_mismatch")


async def test_a_new_bundle_is_served_without_a_restart(chain: Chain, tmp_path: Path) -> None:
    before = (await chain.predict({"a.dcm": ct_slice()})).json()["model"]
    bundle = fake_bundle(tmp_path / "other", name="other")
    chain.transports["cnn"].inner = Swappable(create_cnn(MeanExtractor(), bundle, CnnSettings()))
    chain.transports["rnn"].inner = Swappable(create_rnn(FeatureScorer(), bundle, RnnSettings()))

    after = (await chain.predict({"a.dcm": ct_slice()})).json()["model"]

    assert (before["name"], after["name"]) == ("fake", "other")
    assert after["sha256"] == bundle.card_sha256
    assert after["engines"] is None  # as from stages of an older version


async def test_a_change_of_the_bundle_during_a_request_is_refused(chain: Chain, tmp_path: Path) -> None:
    other = create_cnn(MeanExtractor(), fake_bundle(tmp_path / "other", name="other"), CnnSettings())
    apps = [chain.transports["cnn"].inner, Swappable(other)]

    async def alternate(request: httpx.Request) -> httpx.Response:
        apps.reverse()
        return await apps[0].handle_async_request(request)

    chain.transports["cnn"].inner = Broken(alternate)

    answer = await chain.predict(series(9))

    assert (answer.status_code, answer.json()["code"]) == (502, "bundle_mismatch")


@pytest.mark.parametrize("stage", STAGES)
async def test_readiness_names_the_missing_stage(chain: Chain, stage: str) -> None:
    chain.transports[stage].inner = Broken(_refuse)

    answer = await chain.client.get("/readyz")

    assert answer.status_code == 503
    assert stage in answer.json()["detail"]
    assert (await chain.client.get("/livez")).status_code == 200

"""Concurrent synchronous requests: shared batches, overload, and requests that the client cancels."""

import asyncio
import json
import threading
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from services.gateway.settings import Settings
from tests.contracts.conftest import Chain, MeanExtractor
from tests.scans import ct_slice, series

pytestmark = pytest.mark.anyio


@pytest.fixture
def gateway_settings(gateway_settings: Settings) -> Settings:
    return gateway_settings.model_copy(update={"max_slices_in_flight": 14})


@pytest.fixture
def gate(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The network blocks until this is set."""
    opened = threading.Event()
    extract = MeanExtractor.extract

    def held(self: MeanExtractor, slices: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        opened.wait(20)
        return extract(self, slices)

    monkeypatch.setattr(MeanExtractor, "extract", held)
    chain.extractor.batches.clear()
    return opened


async def test_slices_of_several_requests_share_a_batch(chain: Chain, gate: threading.Event) -> None:
    calls = [asyncio.create_task(chain.predict({"a.dcm": ct_slice()})) for _ in range(9)]
    await asyncio.sleep(1)
    gate.set()
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {200}
    assert len({str(answer.json()["series"]["probabilities"]) for answer in answers}) == 1
    assert sum(chain.extractor.batches) == 9
    assert max(chain.extractor.batches) >= 4


async def test_slices_beyond_the_limit_are_refused_with_retry_after(chain: Chain, gate: threading.Event) -> None:
    first = asyncio.create_task(chain.predict(series(9)))
    await asyncio.sleep(1)
    headers = chain.transports["preprocess"].requests
    refused = await chain.predict(series(9))
    assert chain.transports["preprocess"].requests == headers, "refused by Content-Length, before preprocess"
    gate.set()
    assert (await first).status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await chain.predict(series(9))).status_code == 200


async def test_a_cancelled_request_frees_its_reservation(chain: Chain, gate: threading.Event) -> None:
    call = asyncio.create_task(chain.predict(series(9)))
    await asyncio.sleep(1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    gate.set()
    assert (await chain.predict(series(9))).status_code == 200


async def test_a_stage_gets_the_gateways_timeout(chain: Chain) -> None:
    sent = list[dict[str, Any]]()
    inner = chain.transports["cnn"].inner

    async def note(request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        sent.append(json.loads(body[: int(request.headers["inference-header-content-length"])]))
        return await inner.handle_async_request(request)

    chain.transports["cnn"].inner = httpx.MockTransport(note)
    assert (await chain.predict({"a.dcm": ct_slice()})).status_code == 200
    timeout_us = sent[0]["parameters"]["timeout"]
    assert 0 < timeout_us <= 60_000_000, "the rest of the time-out of the test's client, 60 s, in microseconds"

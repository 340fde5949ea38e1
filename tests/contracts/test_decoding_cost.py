"""A series that takes too long to decode is refused before it is decoded, and work ends with its request."""

import asyncio
import time

import pytest
from fastapi import FastAPI

from services.common.tensors import TIMEOUT_PARAMETER
from services.gateway.settings import Settings
from tests.attack.large_frames import blank_frames
from tests.contracts.conftest import Chain
from tests.preprocess.infer_requests import files_tensor, frames_tensor, post
from tests.scans import series

pytestmark = pytest.mark.anyio
FRAMES = 10


@pytest.fixture
def gateway_settings(gateway_settings: Settings) -> Settings:
    return gateway_settings.model_copy(update={"max_decoding_cost": 100, "chunk_slices": 16})


async def test_a_costly_series_is_refused_with_its_limit_before_it_is_decoded(chain: Chain) -> None:
    costly = blank_frames(2, 4096)
    assert len(costly) < 20_000
    answer = await chain.predict({"large.dcm": costly})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (413, "too_costly")
    assert "a series may take 100" in problem["detail"]
    assert "takes as long as 128 slices of 512 x 512" in problem["detail"]
    assert not chain.extractor.batches


async def test_a_series_within_the_limit_passes_in_chunks_by_its_price(chain: Chain) -> None:
    """20 frames of 1024 x 1024 cost 80, more than preprocess decodes in the request that reads the headers."""
    before = chain.transports["preprocess"].requests
    answer = await chain.predict({"large.dcm": blank_frames(20, 1024)})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["slices"]) == 20
    assert chain.transports["preprocess"].requests - before == 1 + 5
    assert (await chain.predict(series(20))).status_code == 200, "ordinary slices cost 1 each"


async def test_the_time_out_of_a_request_ends_its_decoding(chain: Chain) -> None:
    app, files = chain.apps["preprocess"], files_tensor([blank_frames(FRAMES, 4096)])
    frames, begin = frames_tensor(*((0, frame) for frame in range(FRAMES))), time.monotonic()
    answer = await post(app, "slices", files, frames, **{TIMEOUT_PARAMETER: 200_000})
    assert (answer.status_code, answer.json()["code"]) == (504, "too_late")
    assert "send fewer slices" in answer.json()["detail"]
    whole = time.monotonic()
    assert (await post(app, "slices", files, frames)).status_code == 200
    assert time.monotonic() - whole > whole - begin, "a whole answer takes longer than one that was ended"


async def test_a_client_that_has_gone_ends_its_decoding(chain: Chain) -> None:
    app, files = chain.apps["preprocess"], files_tensor([blank_frames(FRAMES, 4096)])
    frames = frames_tensor(*((0, frame) for frame in range(FRAMES)))
    begin = time.monotonic()
    assert (await post(app, "slices", files, frames)).status_code == 200
    whole_s = time.monotonic() - begin
    gone = asyncio.create_task(post(app, "slices", files, frames))
    await asyncio.sleep(0.2)
    gone.cancel()
    begin = time.monotonic()
    await asyncio.gather(gone, return_exceptions=True)
    assert await _threads_in_use(app) == 0
    assert time.monotonic() - begin < whole_s


async def _threads_in_use(app: FastAPI) -> int:
    held: int = app.state.stage.runner._held
    return held

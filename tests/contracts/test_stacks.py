"""A multi-frame file passes in chunks, and each frame is sent once."""

from typing import Final

import httpx
import pytest

from tests.contracts.conftest import Chain
from tests.preprocess.dicom_files import ct, enhanced, written

pytestmark = pytest.mark.anyio

SIDE: Final = 256
FRAME_BYTES: Final = SIDE * SIDE * 2
FRAMES: Final = 70


class Counting(httpx.AsyncBaseTransport):
    """Forwards requests, and records their lengths."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.sent_bytes: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent_bytes.append(int(request.headers["content-length"]))
        return await self.inner.handle_async_request(request)


def intercept(frame: int) -> float:
    return round(0.3 * frame - 1024, 1)


def stack(header_bytes: int = 0) -> bytes:
    """Frame i is 0.3 i HU brighter than the slice, and the first frame is the highest."""
    found = enhanced(FRAMES, spacing_mm=-2, Rows=SIDE, Columns=SIDE)
    for index, group in enumerate(found.PerFrameFunctionalGroupsSequence):
        (rescale,) = group.PixelValueTransformationSequence
        rescale.RescaleSlope, rescale.RescaleIntercept = 1, intercept(index)
    found.TextValue = "x" * header_bytes
    return written(found)


@pytest.mark.parametrize("header_bytes", [0, 200_000])
async def test_each_frame_is_sent_once(chain: Chain, header_bytes: int) -> None:
    counting = Counting(chain.transports["preprocess"].inner)
    chain.transports["preprocess"].inner = counting
    file = stack(header_bytes)

    report = (await chain.predict({"stack.dcm": file})).raise_for_status().json()

    head_bytes = len(file) - FRAMES * FRAME_BYTES
    assert max(counting.sent_bytes) < 4 * 1024**2 + 2000
    chunks = [size for size in counting.sent_bytes[1:] if size < 4 * 1024**2]
    assert max(chunks) < chain.settings.chunk_slices * FRAME_BYTES + head_bytes + 2000
    assert [item["position_mm"] for item in report["slices"]] == [2.0 * index for index in range(FRAMES)]
    for index in (0, 30, 69):
        alone = ct(Rows=SIDE, Columns=SIDE, RescaleIntercept=intercept(FRAMES - 1 - index))
        slices = (await chain.predict({"slice.dcm": alone})).json()["slices"]
        assert report["slices"][index]["probabilities"] == slices[0]["probabilities"]

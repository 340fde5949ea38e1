"""A malformed response of a stage is 502 and names the stage; a bug of the gateway is 500 and logged."""

import logging
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from services.common.tensors import (
    HEADER_LENGTH,
    Message,
    Parameter,
    Tensor,
    bytes_elements,
    bytes_tensor,
    decode,
    encode,
)
from services.gateway.bundle import Bundles, ServedBundle
from services.gateway.pipeline import Pipeline
from services.gateway.predictions import PredictionService
from services.gateway.severities import DEFAULT_SEVERITIES
from services.gateway.shares.upload_shares import Uploads
from services.gateway.uploads.spool import Spool
from tests.contracts.conftest import Chain
from tests.scans import series

pytestmark = pytest.mark.anyio
Change = Callable[[Message], Message]


class Changed(httpx.AsyncBaseTransport):
    """Changes the message of each inference."""

    def __init__(self, inner: httpx.AsyncBaseTransport, change: Change) -> None:
        self._inner = inner
        self._change = change

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if request.method == "GET":
            return response
        message = decode(await response.aread(), response.headers[HEADER_LENGTH], "outputs")
        header, parts = encode(self._change(message), "outputs")
        body = header + b"".join(bytes(part) for part in parts if not hasattr(part, "path"))
        headers = {HEADER_LENGTH: str(len(header)), "content-length": str(len(body))}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))


def _tensor(name: str, change: Callable[[Tensor], Tensor | None]) -> Change:
    def changed(message: Message) -> Message:
        pairs = [(tensor, change(tensor) if tensor.name == name else tensor) for tensor in message.tensors]
        return replace(message, tensors=tuple(new for _, new in pairs if new))

    return changed


def _missing(name: str) -> Change:
    return _tensor(name, lambda _: None)


def _without_last_row(name: str) -> Change:
    def shorter(tensor: Tensor) -> Tensor:
        if tensor.datatype == "BYTES":
            return bytes_tensor(name, bytes_elements(tensor)[:-1])
        rows = tensor.shape[0] - 1
        data = memoryview(tensor.buffer)[: tensor.nbytes // tensor.shape[0] * rows]
        return replace(tensor, shape=(rows, *tensor.shape[1:]), data=(data,))

    return _tensor(name, shorter)


def _flat(name: str) -> Change:
    return _tensor(name, lambda tensor: replace(tensor, datatype="UINT8", shape=(tensor.nbytes,)))


def _as_int32(name: str) -> Change:
    return _tensor(name, lambda tensor: replace(tensor, datatype="INT32"))


def _elements(name: str, element: bytes) -> Change:
    return _tensor(name, lambda tensor: bytes_tensor(name, [element] * tensor.shape[0]))


def _without_parameter(name: str) -> Change:
    def changed(message: Message) -> Message:
        kept: dict[str, Parameter] = {key: value for key, value in message.parameters.items() if key != name}
        return replace(message, parameters=kept)

    return changed


def _in_report(old: bytes, new: bytes) -> Change:
    def changed(tensor: Tensor) -> Tensor:
        (document,) = bytes_elements(tensor)
        assert old in bytes(document)
        return bytes_tensor("report", [bytes(document).replace(old, new)])

    return _tensor("report", changed)


@pytest.fixture
def blood_grid() -> tuple[int, int]:
    return (4, 4)


CHANGES = [
    ("preprocess", _missing("slices")),
    ("preprocess", _missing("evidence")),
    ("preprocess", _missing("report")),
    ("preprocess", _missing("pictures")),
    ("preprocess", _without_last_row("slices")),
    ("preprocess", _without_last_row("evidence")),
    ("preprocess", _without_last_row("report")),
    ("preprocess", _without_last_row("pictures")),
    ("preprocess", _flat("slices")),
    ("preprocess", _elements("evidence", b"{")),
    ("preprocess", _elements("report", b"[]")),
    ("preprocess", _in_report(b'"file":0', b'"file":99')),
    ("preprocess", _in_report(b'"file":0', b'"file":-1')),
    ("preprocess", _in_report(b'"file":0', b'"file":1')),
    ("preprocess", _in_report(b'"position_mm":[', b'"position_mm":[0,')),
    ("preprocess", _in_report(b'"geometry":0', b'"geometry":1')),
    ("preprocess", _in_report(b'"geometry":0', b'"geometry":-1')),
    ("preprocess", _in_report(b'"height":512', b'"height":0')),
    ("preprocess", _in_report(b'"incomplete":[]', b'"incomplete":[50]')),
    ("preprocess", _without_parameter("recipe")),
    ("cnn", _missing("features")),
    ("cnn", _without_last_row("features")),
    ("cnn", _flat("features")),
    ("cnn", _as_int32("features")),
    ("cnn", _without_parameter("card_sha256")),
    ("cnn", _missing("blood")),
    ("cnn", _without_last_row("blood")),
    ("cnn", _flat("blood")),
    ("rnn", _missing("slice_probabilities")),
    ("rnn", _missing("series_probabilities")),
    ("rnn", _without_last_row("slice_probabilities")),
    ("rnn", _flat("slice_probabilities")),
    ("rnn", _as_int32("series_probabilities")),
    ("rnn", _without_parameter("card_sha256")),
]


@pytest.mark.parametrize("count", [2, 9], ids=["one request", "chunks"])
@pytest.mark.parametrize(
    ("stage", "change"), CHANGES, ids=[f"{number}-{stage}" for number, (stage, _) in enumerate(CHANGES)]
)
async def test_a_malformed_response_is_502_and_names_the_stage(
    chain: Chain, stage: str, change: Change, count: int
) -> None:
    chain.transports[stage].inner = Changed(chain.transports[stage].inner, change)

    answer = await chain.predict(series(count), images=True, blood=True)

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["stage"]) == (502, "stage_failed", stage), problem
    assert problem["detail"].startswith(f"malformed response of {stage}: ")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"parameters": []}', b'{"parameters": {"card": {}}}'])
async def test_malformed_metadata_are_502(chain: Chain, body: bytes) -> None:
    chain.transports["rnn"].inner = httpx.MockTransport(lambda _: httpx.Response(200, content=body))

    answer = await chain.client.get("/v1/models")

    assert (answer.status_code, answer.json()["code"], answer.json()["stage"]) == (502, "stage_failed", "rnn")


class BuggyBundles(Bundles):
    """A bug of the gateway, amid the pipeline."""

    async def served(self, card_sha256: str | None = None) -> ServedBundle:
        raise IndexError(card_sha256)


async def test_a_bug_of_the_gateway_is_500_and_logged_and_counted(
    chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = Pipeline(chain.stages, chain.settings, BuggyBundles(chain.stages), DEFAULT_SEVERITIES)
    spool, uploads = Spool(chain.settings.spool_dir), Uploads(chain.settings)
    service = PredictionService(spool, uploads, pipeline, Bundles(chain.stages), chain.settings)
    chain.gateway.state.predictions = service
    transport = httpx.ASGITransport(chain.gateway, raise_app_exceptions=False)

    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post("/v1/predictions", files=[("files", item) for item in series(2).items()])
        metrics = (await client.get("/metrics")).text

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.__dict__["fields"]["status"] for record in logged] == [500]
    assert 'ich_requests_total{method="POST",route="/v1/predictions",status="500"} 1.0' in metrics
    with pytest.raises(IndexError):  # reaches the server, which logs it with its stack
        await chain.predict(series(2))

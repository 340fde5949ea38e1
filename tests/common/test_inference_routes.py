import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx
import numpy as np
import pytest
from anyio import to_thread
from pydantic_settings import SettingsConfigDict

from services.common.numpy_tensors import array_tensor, read_array
from services.common.problems import BadRequest
from services.common.runners import ThreadRunner
from services.common.settings import ThreadedSettings
from services.common.shared_memory import create_region, map_region, shared_folder
from services.common.shared_memory_regions import RegisteredRegions
from services.common.shared_ranges import SharedBuffer, SharedRange
from services.common.stage import TensorSpec
from services.common.stage_app import stage_app
from services.common.tensors import HEADER_LENGTH, FilePart, Message, Tensor, decode, encode

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Settings(ThreadedSettings):
    model_config = SettingsConfigDict(env_prefix="ICH_EXAMPLE_")


class Doubler:
    """Doubles each number; can fail or wait on request."""

    name = "doubler"
    platform = "test"
    inputs: Sequence[TensorSpec] = (TensorSpec("x", "FP32", (-1,)),)
    outputs: Sequence[TensorSpec] = (TensorSpec("y", "FP32", (-1,)), TensorSpec("z", "FP32", (-1,)))
    parameters: dict[str, Any] = {"colour": "blue"}  # noqa: RUF012

    def __init__(self) -> None:
        self.before: Callable[[], object] = lambda: None
        self.calls = 0

    def example(self) -> Message:
        return Message((array_tensor("x", np.ones(1, np.float32)),))

    def infer(self, message: Message) -> Message:
        self.calls += 1
        self.before()
        x = read_array(message, "x", "FP32", (None,))
        return Message((array_tensor("y", 2 * x), array_tensor("z", x)))

    def count_slices(self, message: Message) -> int:
        return message.tensors[0].shape[0]


def _client(model: Doubler, **settings: int) -> httpx.AsyncClient:
    chosen = Settings.model_validate(settings)
    app = stage_app("stage", [model], chosen, ThreadRunner(chosen))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://stage")


async def _infer(client: httpx.AsyncClient, message: Message, **headers: str) -> httpx.Response:
    header, parts = encode(message, "inputs")
    body = header + b"".join(bytes(part) for part in parts if not isinstance(part, FilePart))
    sent = {HEADER_LENGTH: str(len(header)), **headers}
    return await client.post("/v2/models/doubler/infer", content=body, headers=sent)


async def test_a_response_has_the_id_and_the_time_of_work() -> None:
    async with _client(Doubler()) as client:
        sent = Message((array_tensor("x", np.arange(3, dtype=np.float32)),), id="q7")
        answer = await _infer(client, sent)
    message = decode(answer.content, answer.headers[HEADER_LENGTH], "outputs")
    np.testing.assert_array_equal(read_array(message, "y", "FP32", (3,)), [0, 2, 4])
    assert message.id == "q7"
    assert answer.headers["server-timing"].startswith("work;dur=")


async def test_metadata_and_health_follow_the_protocol() -> None:
    async with _client(Doubler()) as client:
        metadata = (await client.get("/v2/models/doubler")).json()
        assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1]}]
        assert metadata["parameters"] == {"colour": "blue"}
        for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/doubler/ready", "/readyz"):
            assert (await client.get(path)).status_code == 200
        missing = await client.get("/v2/models/tripler")
        assert (missing.status_code, missing.json()["error"]) == (
            404,
            "there is no model 'tripler'; the models are doubler",
        )


async def test_ready_only_while_the_model_answers(caplog: pytest.LogCaptureFixture) -> None:
    model = Doubler()

    def broken() -> None:
        raise RuntimeError("out of memory")

    model.before = broken
    async with _client(model) as client:
        for path in ("/readyz", "/v2/health/ready", "/v2/models/doubler/ready"):
            assert (await client.get(path)).status_code == 503
        assert not [record for record in caplog.records if record.levelname != "INFO"], "it is not ready yet: no news"
        assert (await client.get("/livez")).status_code == 200
        model.before = lambda: None
        assert (await client.get("/readyz")).status_code == 200
        calls = model.calls
        assert (await client.get("/readyz")).status_code == 200
        assert model.calls == calls, "a model that has just answered is not asked again"


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [({"max_body_bytes": 50}, {}, 413), ({}, {"content-encoding": "gzip"}, 415), ({}, {HEADER_LENGTH: "9999"}, 400)],
)
async def test_unacceptable_requests_are_refused(
    settings: dict[str, int], headers: dict[str, str], status: int
) -> None:
    async with _client(Doubler(), **settings) as client:
        answer = await _infer(client, Message((array_tensor("x", np.ones(3, np.float32)),)), **headers)
    assert answer.status_code == status
    assert answer.json()["error"] == answer.json()["detail"]


async def test_an_unknown_output_is_refused() -> None:
    x = {"name": "x", "datatype": "FP32", "shape": [0], "parameters": {"binary_data_size": 0}}
    async with _client(Doubler()) as client:
        answer = await client.post("/v2/models/doubler/infer", json={"inputs": [x], "outputs": [{"name": "w"}]})
    assert (answer.status_code, answer.json()["detail"]) == (400, "there is no output 'w'; the outputs are y, z")


async def test_an_overloaded_stage_refuses_a_request_before_reading_it() -> None:
    model, gate, begun = Doubler(), threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        gate.wait(10)

    model.before = hold
    message = Message((array_tensor("x", np.ones(1, np.float32)),))
    async with _client(model, threads=1, max_waiting=1) as client:
        first = asyncio.create_task(_infer(client, message))
        await asyncio.to_thread(begun.wait, 10)
        second = asyncio.create_task(_infer(client, message))
        await asyncio.sleep(0.05)
        refused = await _infer(client, message)
        gate.set()
        done = await asyncio.gather(first, second)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert [answer.status_code for answer in done] == [200, 200]


async def test_an_error_of_the_model_is_answered_without_its_message() -> None:
    model = Doubler()

    def broken() -> None:
        raise RuntimeError("Zebedee")

    model.before = broken
    async with _client(model) as client:
        answer = await _infer(client, model.example())
    assert answer.status_code == 500
    assert "Zebedee" not in answer.text


def test_malformed_requests_have_a_status() -> None:
    assert BadRequest("x").status == 400


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example.org"}, {"sec-fetch-site": "same-site"}])
async def test_no_page_may_use_a_stage(headers: dict[str, str]) -> None:
    model = Doubler()
    async with _client(model) as client:
        sent = Message((array_tensor("x", np.arange(3, dtype=np.float32)),))
        answer = await _infer(client, sent, **headers)
    assert (answer.status_code, answer.json()["code"], model.calls) == (403, "cross_origin", 0)


class Reserving(ThreadRunner):
    """Records the bytes that each request reserves, and how many it holds at a time."""

    def __init__(self, settings: ThreadedSettings) -> None:
        super().__init__(settings)
        self.reserved: list[int] = []

    @contextmanager
    def reserve(self, body_bytes: int) -> Iterator[None]:
        self.reserved.append(body_bytes)
        with super().reserve(body_bytes):
            assert self._held == 1
            yield


class SlowRegions(RegisteredRegions):
    """Each registration waits for the end of another request."""

    def __init__(self) -> None:
        super().__init__(None, 0, 0)
        self.begun, self.other_ended = threading.Event(), threading.Event()
        self.ended_during: bool | None = None

    def register(self, *_: object) -> None:
        self.begun.set()
        self.ended_during = self.other_ended.wait(10)


async def test_a_slow_registration_delays_no_other_request(tmp_path: Path) -> None:
    settings = Settings(shared_memory_dir=tmp_path)
    app = stage_app("stage", [Doubler()], settings, Reserving(settings))
    app.state.stage.regions = regions = SlowRegions()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://stage") as client:
        path = "/v2/systemsharedmemory/region/mine/register"
        registering = asyncio.create_task(client.post(path, content=b'{"key": "x", "byte_size": 1}'))
        await to_thread.run_sync(regions.begun.wait, 10)
        await client.get("/livez")
        regions.other_ended.set()
        await registering
    assert regions.ended_during


async def test_tensors_in_shared_memory_count_as_part_of_the_request() -> None:
    folder = Path(mkdtemp(prefix="ich-test-", dir="/dev/shm"))
    settings = Settings(shared_memory_dir=folder)
    runner, model = Reserving(settings), Doubler()
    app = stage_app("stage", [model], settings, runner)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://stage") as client:
        with shared_folder(folder) as opened:
            file = create_region(opened, "0" * 32, 8192)
        path = "/v2/systemsharedmemory/region/mine"
        refused = [await client.post(f"{path}/register", content=body) for body in (b"", b"[]", b'{"key": "x"}')]
        registered = await client.post(f"{path}/register", content=b'{"key": "/%s", "byte_size": 8192}' % (b"0" * 32))
        region = map_region(file, 8192)
        region[:12] = np.arange(3, dtype=np.float32).tobytes()
        shared = Tensor("x", "FP32", (3,), (region[:12],), SharedRange("mine", 0, 12))
        offered = {"y": SharedBuffer(SharedRange("mine", 4096, 4096), region[4096:])}

        answer = await _infer(client, Message((shared,), requested_outputs=("y", "z"), shared_outputs=offered))

        message = decode(answer.content, answer.headers[HEADER_LENGTH], "outputs", app.state.stage.regions)
        status = (await client.get(f"{path}/status")).json()
        extensions = (await client.get("/v2")).json()["extensions"]
        listed = [(await client.get("/v2/systemsharedmemory/status")).status_code]
        listed.append((await client.post("/v2/systemsharedmemory/unregister")).status_code)
        await client.post(f"{path}/unregister")
        forgotten = await _infer(client, Message((shared,)))
    shutil.rmtree(folder)
    os.close(file)
    assert [(answer.status_code, answer.json()["error"]) for answer in refused] == [
        (400, "the body must be JSON with key, offset and byte_size")
    ] * 3
    assert registered.status_code == 200, registered.text
    assert status == [{"name": "mine", "key": "0" * 32, "offset": 0, "byte_size": 8192}]
    assert extensions == ["binary_tensor_data", "system_shared_memory"]
    assert listed == [404, 404], "names of regions are secret"
    assert [tensor.shared for tensor in message.tensors] == [SharedRange("mine", 4096, 12), None]
    np.testing.assert_array_equal(np.frombuffer(region[4096:4108], np.float32), [0, 2, 4])
    assert runner.reserved[1] - runner.reserved[0] == 12
    assert (forgotten.status_code, forgotten.json()["code"]) == (400, "unknown_region")

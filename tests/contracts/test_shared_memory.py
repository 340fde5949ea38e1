"""Slices pass through shared memory: the same reports, no region is used twice at once, and every fault is noticed."""

import asyncio
import gc
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.cnn.app import create_app as create_cnn
from services.cnn.settings import Settings as CnnSettings
from services.common.card import open_bundle
from services.common.recipe import DEFAULT_RECIPE
from services.common.shared_memory_regions import UnknownRegion
from services.common.shared_ranges import SharedRange
from services.common.tensors import HEADER_LENGTH, decode, encode
from services.gateway.settings import Settings
from services.preprocess.app import create_app as create_preprocess
from services.preprocess.settings import Settings as PreprocessSettings
from tests.contracts.conftest import Chain, MeanExtractor, open_chain
from tests.contracts.test_enhanced import stack
from tests.preprocess.dicom_files import written
from tests.scans import head, series

pytestmark = pytest.mark.anyio
SLICE_BYTES = 512 * 512 * 3
INFER = {"preprocess": "/v2/models/slices/infer", "cnn": "/v2/models/cnn/infer"}


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(mkdtemp(prefix="ich-test-", dir="/dev/shm"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def gateway_settings(gateway_settings: Settings, folder: Path) -> Settings:
    return gateway_settings.model_copy(update={"shared_memory_dir": folder})


class Observed(httpx.AsyncBaseTransport):
    """Notes the size of each inference's bodies, and may act before one is sent."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, before: Callable[[dict[str, Any]], object] | None = None
    ) -> None:
        self._inner = inner
        self._before = before
        self.bytes: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/infer"):
            return await self._inner.handle_async_request(request)
        body = await request.aread()
        if self._before:
            self._before(json.loads(body[: int(request.headers[HEADER_LENGTH])]))
        response = await self._inner.handle_async_request(request)
        self.bytes += [len(body), len(await response.aread())]
        return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(response.content))


def _observe(chain: Chain, stage: str, before: Callable[[dict[str, Any]], object] | None = None) -> Observed:
    observed = Observed(chain.transports[stage].inner, before)
    chain.transports[stage].inner = observed
    return observed


def _scores(answer: httpx.Response) -> list[Any]:
    report = answer.json()
    assert answer.status_code == 200, report
    return [report["series"]["probabilities"], [item["probabilities"] for item in report["slices"]]]


async def _expected(chain: Chain, tmp_path: Path, files: dict[str, bytes]) -> list[Any]:
    """The report of a chain without shared memory."""
    settings = chain.settings.model_copy(update={"shared_memory_dir": None, "spool_dir": tmp_path / "other"})
    async with open_chain(tmp_path / "plain", settings.model_copy(update={"jobs_dir": tmp_path / "j"})) as plain:
        return _scores(await plain.predict(files))


def _over_http(observed: Observed) -> bool:
    return max(observed.bytes) > SLICE_BYTES


def _replace_app(chain: Chain, stage: str, app: FastAPI) -> None:
    chain.transports[stage].inner = httpx.ASGITransport(app)


def _restarted(chain: Chain, stage: str, shared: Path | None) -> FastAPI:
    """The stage after a restart: it knows no region."""
    if stage == "preprocess":
        return create_preprocess(DEFAULT_RECIPE, PreprocessSettings(shared_memory_dir=shared))
    return create_cnn(MeanExtractor(), open_bundle(chain.bundle), CnnSettings(shared_memory_dir=shared))


@pytest.mark.parametrize("count", [2, 11], ids=["one request", "chunks"])
async def test_reports_are_the_same_and_no_pixels_travel_over_http(chain: Chain, tmp_path: Path, count: int) -> None:
    files = series(count)
    observed = [_observe(chain, stage) for stage in INFER]

    reports = [await chain.predict(files, images=True) for _ in range(3)]

    assert not any(map(_over_http, observed))
    expected = await _expected(chain, tmp_path, files)
    assert [_scores(report) for report in reports] == [expected] * 3
    assert all(item["image"] for item in reports[-1].json()["slices"])


async def test_regions_are_used_again_and_removed_at_the_end(
    gateway_settings: Settings, folder: Path, tmp_path: Path
) -> None:
    async with open_chain(tmp_path / "bundle", gateway_settings) as chain:
        used = set[str]()
        _observe(chain, "cnn", lambda request: used.add(_region(request["inputs"][0])))
        for _ in range(4):
            await chain.predict(series(2))
        assert (len(used), len(_files(folder))) == (1, 1), "one region serves one request after the other"
        stages = [chain.apps[stage].state.stage.regions for stage in INFER]
        (name,) = used
        assert [regions.status(name)["name"] for regions in stages] == [name] * 2
    assert not _files(folder)
    for regions in stages:
        with pytest.raises(UnknownRegion):
            regions.status(name)


def _region(tensor: dict[str, Any]) -> str:
    return str(tensor["parameters"]["shared_memory_region"])


def _files(folder: Path) -> list[Path]:
    return list(folder.glob("*"))


@pytest.mark.parametrize("fault", [httpx.ReadTimeout("slow"), httpx.ReadError("reset")])
async def test_a_late_write_of_a_request_that_failed_reaches_no_other_request(
    chain: Chain, tmp_path: Path, fault: httpx.TransportError
) -> None:
    late: list[memoryview] = []
    regions = chain.apps["preprocess"].state.stage.regions

    def fail(request: dict[str, Any]) -> None:
        if len(late) < failures:
            parameters = request["outputs"][0]["parameters"]
            names = "shared_memory_region", "shared_memory_offset", "shared_memory_byte_size"
            late.append(regions.view(SharedRange(*(parameters[name] for name in names))))
            raise fault

    failures = 1
    _observe(chain, "preprocess", fail)
    wrote = list[int]()

    def write_late(_: dict[str, Any]) -> None:
        for view in late:
            view[:] = b"\xff" * len(view)
            wrote.append(len(view))

    _observe(chain, "cnn", write_late)
    first = await chain.predict(series(2))
    files = series(2, hu=head(brain_hu=60))

    answer = await chain.predict(files)

    assert first.status_code == (504 if isinstance(fault, httpx.ReadTimeout) else 200)
    assert wrote
    assert _scores(answer) == await _expected(chain, tmp_path, files)


@pytest.mark.parametrize("stage", INFER)
async def test_a_restarted_stage_gets_the_regions_again(chain: Chain, tmp_path: Path, stage: str, folder: Path) -> None:
    files = series(9)
    await chain.predict(files)
    _replace_app(chain, stage, _restarted(chain, stage, folder))
    observed = _observe(chain, stage)

    answer = await chain.predict(files)

    assert not _over_http(observed)
    assert _scores(answer) == await _expected(chain, tmp_path, files)


@pytest.mark.parametrize("stage", INFER)
@pytest.mark.parametrize("shared", [None, "another host"], ids=["old version", "another host"])
async def test_a_stage_without_the_shared_folder_gets_binary_tensors(
    chain: Chain, tmp_path: Path, stage: str, shared: str | None
) -> None:
    files = series(9)
    await chain.predict(files)  # the stage had the folder until now
    other = Path(mkdtemp(prefix="ich-test-", dir="/dev/shm")) if shared else None
    _replace_app(chain, stage, _restarted(chain, stage, other))
    observed = _observe(chain, stage)

    answers = [await chain.predict(files) for _ in range(2)]

    assert _over_http(observed)
    expected = await _expected(chain, tmp_path, files)
    assert [_scores(answer) for answer in answers] == [expected] * 2
    if other:
        other.rmdir()


async def test_deleted_regions_do_no_harm(chain: Chain, tmp_path: Path, folder: Path) -> None:
    files = series(9)
    await chain.predict(files)
    deleted = {region.name for region in _files(folder)}
    for file in _files(folder):
        file.unlink()
    answers = [await chain.predict(files)]  # both sides have it in memory
    _replace_app(chain, "preprocess", _restarted(chain, "preprocess", folder))

    answers += [await chain.predict(files) for _ in range(2)]  # preprocess cannot open it

    assert _files(folder), "there are new regions"
    with chain.stages.preprocess.lease() as lease:
        region = lease.region()
        assert region
        assert region.key not in deleted
    expected = await _expected(chain, tmp_path, files)
    assert [_scores(answer) for answer in answers] == [expected] * 3


class SlowRegistration(httpx.AsyncBaseTransport):
    """Does not answer a registration in time, and notes the time-outs."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.timeouts: list[dict[str, float]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/register"):
            return await self._inner.handle_async_request(request)
        self.timeouts.append(request.extensions["timeout"])
        raise httpx.ReadTimeout("slow")


async def test_a_slow_registration_ends_one_region_only(chain: Chain, folder: Path) -> None:
    with chain.stages.preprocess.lease() as one, chain.stages.preprocess.lease() as two:
        assert one.region()
        assert two.region()
    before = set(_files(folder))
    chain.transports["preprocess"].inner = slow = SlowRegistration(chain.transports["preprocess"].inner)

    answer = await chain.predict(series(2))

    assert answer.status_code == 200
    assert (len(before), len(before - set(_files(folder)))) == (2, 1)
    (timeouts,) = slow.timeouts
    assert timeouts["read"] < timeouts["pool"] == 60, "the wait for a free connection is no fault of the stage"


async def test_full_shared_memory_falls_back_on_binary_tensors(
    gateway_settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture, folder: Path
) -> None:
    settings = gateway_settings.model_copy(update={"chunk_slices": 10**8, "max_shared_bytes": 10**18})
    async with open_chain(tmp_path / "bundle", settings) as chain:
        observed = _observe(chain, "cnn")
        answer = await chain.predict(series(2))

    assert answer.status_code == 200
    assert _over_http(observed)
    assert "cannot be allocated" in caplog.text
    assert not _files(folder)


async def test_an_output_that_is_larger_than_expected_travels_over_http(chain: Chain, tmp_path: Path) -> None:
    """One file of several frames: the gateway knows their number only afterwards."""
    files = {"stack.dcm": written(stack(3))}
    observed = _observe(chain, "preprocess")

    answer = await chain.predict(files)

    assert _over_http(observed)
    assert _scores(answer) == await _expected(chain, tmp_path, files)


Claim = Callable[[SharedRange], SharedRange]


class Claiming(httpx.AsyncBaseTransport):
    """Claims that `slices` are in a range of shared memory, into which nothing was written."""

    def __init__(self, inner: httpx.AsyncBaseTransport, claim: Claim) -> None:
        self._inner = inner
        self._claim = claim

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != INFER["preprocess"]:
            return await self._inner.handle_async_request(request)
        body, length = await request.aread(), int(request.headers[HEADER_LENGTH])
        document = json.loads(body[:length])
        offered = document["outputs"][0].pop("parameters")
        header = json.dumps(document).encode()
        headers = {
            **request.headers,
            HEADER_LENGTH: str(len(header)),
            "content-length": str(len(header) + len(body) - length),
        }
        changed = httpx.Request("POST", request.url, headers=headers, content=header + body[length:])
        response = await self._inner.handle_async_request(changed)
        message = decode(await response.aread(), response.headers[HEADER_LENGTH], "outputs")
        slices = message.tensor("slices", "UINT8")
        honest = SharedRange(offered["shared_memory_region"], offered["shared_memory_offset"], slices.nbytes)
        tensors = (replace(slices, shared=self._claim(honest)), *message.tensors[1:])
        header, parts = encode(replace(message, tensors=tensors), "outputs")
        content = header + b"".join(bytes(part) for part in parts if not hasattr(part, "path"))
        sent = {HEADER_LENGTH: str(len(header)), "content-length": str(len(content))}
        return httpx.Response(200, headers=sent, stream=httpx.ByteStream(content))


CLAIMS: dict[str, Claim] = {
    "not written": lambda honest: honest,
    "another region": lambda honest: replace(honest, region="0" * 32),
    "outside": lambda honest: replace(honest, offset=honest.offset + 10 * SLICE_BYTES),
    "shifted": lambda honest: replace(honest, offset=honest.offset + 1),
    "too short": lambda honest: replace(honest, byte_size=honest.byte_size - SLICE_BYTES),
    "too long": lambda honest: replace(honest, byte_size=honest.byte_size + SLICE_BYTES),
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
@pytest.mark.parametrize("count", [2, 9], ids=["one request", "chunks"])
async def test_a_false_claim_about_shared_memory_is_502(chain: Chain, claim: Claim, count: int) -> None:
    assert (await chain.predict(series(count))).status_code == 200  # the region holds slices of another request
    chain.transports["preprocess"].inner = Claiming(chain.transports["preprocess"].inner, claim)

    answer = await chain.predict(series(count))

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["stage"]) == (502, "stage_failed", "preprocess"), problem
    assert problem["detail"].startswith("malformed response of preprocess: ")


class Unanswered(httpx.AsyncBaseTransport):
    """Takes slices and never answers, or fails."""

    def __init__(self, inner: httpx.AsyncBaseTransport, fault: httpx.TransportError | None) -> None:
        self._inner = inner
        self._fault = fault
        self.taken = asyncio.Queue[None]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != INFER["preprocess"]:
            return await self._inner.handle_async_request(request)
        self.taken.put_nowait(None)
        if self._fault:
            raise self._fault
        await asyncio.Event().wait()
        raise AssertionError


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("fault", [None, httpx.ReadTimeout("slow")], ids=["cancelled", "failed"])
@pytest.mark.parametrize("count", [2, 9], ids=["one request", "chunks"])
async def test_requests_without_success_leave_no_memory_mapped(
    chain: Chain, folder: Path, count: int, fault: httpx.TransportError | None
) -> None:
    """The collector of cycles, which is off here, would unmap it much later."""
    files, stage = series(count), chain.transports["preprocess"]
    working, stage.inner = stage.inner, Unanswered(stage.inner, fault)
    for _ in range(30):
        request = asyncio.create_task(chain.predict(files))
        await stage.inner.taken.get()
        if not fault:
            request.cancel()
        await asyncio.gather(request, return_exceptions=True)
    stage.inner = working

    answer = await chain.predict(files)  # preprocess drops its regions when it registers another one

    assert answer.status_code == 200
    assert _mapped_after_removal(folder) == 0


def _mapped_after_removal(folder: Path) -> int:
    lines = Path("/proc/self/maps").read_text().splitlines()
    return sum(str(folder) in line and line.endswith("(deleted)") for line in lines)

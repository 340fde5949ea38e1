"""Pictures of single slices of jobs: pixel by pixel those of the source, by pydicom and NumPy alone."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless
from redis import Redis

from services.common.recipe import DEFAULT_RECIPE
from services.gateway.jobs.job import Job
from services.gateway.jobs.store import JobStore
from services.gateway.settings import Settings
from services.preprocess.windowing import apply_windows
from tests.contracts.conftest import Chain, MeanExtractor, stage_apps
from tests.contracts.test_jobs import Batch
from tests.contracts.test_stacks import Counting
from tests.preprocess.dicom_files import (
    all_eight,
    compressed,
    dataset,
    encapsulated,
    enhanced,
    signed,
    written,
)
from tests.redis_process import redis_url, running_redis
from tests.scans import ct_slice, head, picture

pytestmark = pytest.mark.anyio

ROWS, COLUMNS, PADDING = 40, 56, 63488
TILTED = [0.96, 0.28, 0, -0.26, 0.9, 0.35]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_redis(tmp_path_factory.mktemp("redis")) as client:
        yield client


@pytest.fixture(params=[None, "memory"])
def jobs_url(tmp_path: Path, request: pytest.FixtureRequest) -> str | None:
    """A local folder, and an object storage."""
    return f"memory://{tmp_path.name}" if request.param else None


@pytest.fixture
def gateway_settings(gateway_settings: Settings, redis: Redis, jobs_url: str | None) -> Settings:
    redis.flushall()
    return gateway_settings.model_copy(update={"redis_url": redis_url(redis), "jobs_url": jobs_url})


@pytest.fixture
async def batch(chain: Chain, redis: Redis) -> AsyncIterator[Batch]:
    found = Batch(chain, redis)
    yield found
    await found.stages.close()


def noise(seed: int) -> NDArray[np.int64]:
    """(40, 56), 12 bits: slices and the eight orders of their pixels differ."""
    return np.random.default_rng(seed).integers(0, 4096, (ROWS, COLUMNS))


def tagged(index: int, **tags: Any) -> dict[str, Any]:
    place = {"ImagePositionPatient": [-80, -96, 5 * index], "SOPInstanceUID": f"1.2.3.{index + 1}"}
    return {"Rows": ROWS, "Columns": COLUMNS, "InstanceNumber": index + 1, **place, **tags}


def unsigned_slice(index: int, **tags: Any) -> pydicom.Dataset:
    return dataset(PixelData=noise(index).astype("<u2").tobytes(), **tagged(index, **tags))


def signed_slice(index: int, **tags: Any) -> pydicom.Dataset:
    return signed(PixelData=(noise(index) - 2000).astype("<i2").tobytes(), **tagged(index, **tags))


def padded_slice(index: int) -> pydicom.Dataset:
    pixels = noise(index) - 1024
    pixels[:5] = -2048
    tags = {"PixelPaddingValue": -2048, "RescaleSlope": 1.5, "RescaleIntercept": -3}
    found = signed(PixelData=pixels.astype("<i2").tobytes(), **tagged(index, **tags))
    found["PixelPaddingValue"].VR = "SS"
    return found


def stack() -> pydicom.Dataset:
    """Frames from the head to the feet, each with its own pixels and rescale."""
    found = enhanced(3, spacing_mm=-5, Rows=ROWS, Columns=COLUMNS)
    found.PixelData = b"".join(noise(frame).astype("<u2").tobytes() for frame in range(3))
    return found


def compressed_stack() -> bytes:
    """A file of three frames, compressed one by one."""
    frames = []
    for frame in range(3):
        alone = pydicom.dcmread(BytesIO(compressed(unsigned_slice(frame), JPEGLSLossless)))
        frames.append(next(generate_frames(alone.PixelData, number_of_frames=1)))
    return encapsulated(stack(), JPEGLSLossless, frames)


SOURCES: Mapping[str, list[bytes]] = {
    "unsigned": [written(unsigned_slice(index)) for index in range(3)],
    "signed": [written(signed_slice(index)) for index in range(3)],
    "padded": [written(padded_slice(index)) for index in range(3)],
    "tilted": [written(signed_slice(index, ImageOrientationPatient=TILTED)) for index in range(3)],
    "oblong": [written(unsigned_slice(index, PixelSpacing=[2.0, 0.5])) for index in range(3)],
    "rescaled": [written(unsigned_slice(index, RescaleSlope=0.5, RescaleIntercept=-900.5)) for index in range(2)],
    **{f"turned {number}": [written(found)] for number, found in enumerate(all_eight(unsigned_slice(0)))},
    "several frames": [written(stack())],
    "compressed frames": [compressed_stack()],
    **{
        syntax.name: [compressed(unsigned_slice(index), syntax) for index in range(2)]
        for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1)
    },
}


def expected_hu(file: bytes, frame: int) -> NDArray[np.int64]:
    """Hounsfield units by the standard, turned by the letters of the standard alone."""
    found = pydicom.dcmread(BytesIO(file))
    pixels = found.pixel_array.astype(np.int64)
    pixels = pixels[frame] if pixels.ndim == 3 else pixels
    own, shared = found, found
    if "PerFrameFunctionalGroupsSequence" in found:
        own = found.PerFrameFunctionalGroupsSequence[frame].PixelValueTransformationSequence[0]
        shared = found.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    hu: NDArray[np.int64] = np.rint(pixels * float(own.RescaleSlope) + float(own.RescaleIntercept)).astype(np.int64)
    hu = np.clip(hu, -32768, 32767)
    if "PixelPaddingValue" in found:
        hu[pixels == found.PixelPaddingValue] = -1024
    row, column = np.reshape(np.array(shared.ImageOrientationPatient, float), (2, 3))
    if abs(row[0]) + abs(column[1]) < abs(row[1]) + abs(column[0]):
        hu, row, column = hu.T, column, row
    turned: NDArray[np.int64] = hu[:: 1 if column[1] > 0 else -1, :: 1 if row[0] > 0 else -1]
    return turned


def hu_of(answer: httpx.Response) -> NDArray[np.int64]:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), answer.text
    with Image.open(BytesIO(answer.content)) as shown:
        assert (shown.mode, shown.info["RescaleIntercept"]) == ("I;16", "-32768")
        return np.asarray(shown).astype(np.int64) - 32768


async def finished(batch: Batch, files: Mapping[str, bytes], **query: Any) -> tuple[str, dict[str, Any]]:
    """The address of a job's only series, and its report."""
    address = await batch.send(dict(files), **query)
    await batch.work()
    report = await batch.get(f"{address}/series/0/report")
    assert report == (await batch.get(f"{address}/reports"))["reports"][0]
    return f"{address}/series/0", report


def job_of(batch: Batch) -> Job:
    """The only job."""
    store: JobStore = batch.chain.gateway.state.jobs.store
    (job,) = store.jobs(store.storage.names("jobs")[0])
    return job


async def problem(batch: Batch, address: str) -> tuple[int, str, str]:
    answer = await batch.chain.client.get(address)
    document = answer.json()
    return answer.status_code, document["code"], document["detail"]


async def check_slices(batch: Batch, series: str, report: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Every slice is that of its file and frame."""
    assert report["slices"]
    for item in report["slices"]:
        hu = hu_of(await batch.chain.client.get(f"{series}/slices/{item['index']}"))
        assert np.array_equal(hu, expected_hu(files[item["file"]], item["frame"])), item
        geometry = item["geometry"]
        turned = (geometry["columns"], geometry["rows"]) if geometry["transpose"] else (ROWS, COLUMNS)
        assert hu.shape == turned


@pytest.mark.parametrize("jobs_url", [None], indirect=True)
async def test_a_slice_has_the_pixels_of_its_source(batch: Batch) -> None:
    for source in SOURCES.values():
        files = {f"{number}.dcm": data for number, data in enumerate(reversed(source))}
        series, report = await finished(batch, files)
        await check_slices(batch, series, report, files)


async def test_headers_identify_files_of_equal_names_and_duplicates(batch: Batch) -> None:
    first, second, third = SOURCES["unsigned"]
    archive = [("IM1", third), ("a/IM1", first), ("b/IM1", second), ("b/again", second)]
    parts = [("files", ("IM1", content)) for _, content in archive]
    answer = await batch.chain.client.post("/v1/jobs", files=parts)
    await batch.work()
    series = f"{answer.headers['location']}/series/0"
    report = await batch.get(f"{series}/report")
    assert "duplicate_file" in {reason["code"] for reason in report["reasons"]}
    assert [item["file"] for item in report["slices"]] == ["IM1"] * 3
    for index, file in enumerate((first, second, third)):
        hu = hu_of(await batch.chain.client.get(f"{series}/slices/{index}"))
        assert np.array_equal(hu, expected_hu(file, 0))


async def test_a_job_of_an_older_version_has_its_slices(batch: Batch) -> None:
    files = {"stack.dcm": written(stack())}
    series, report = await finished(batch, files)
    storage, job = batch.chain.gateway.state.jobs.store.storage, job_of(batch)
    lacking = {"frame", "geometry"}
    slices = [{name: value for name, value in item.items() if name not in lacking} for item in report["slices"]]
    storage.remove(f"{job.key}/reports/000000.json")
    storage.create(f"{job.key}/reports/000000.json", json.dumps({**report, "slices": slices}).encode())
    assert "frame" not in (await batch.get(f"{series}/report"))["slices"][0]
    await check_slices(batch, series, report, files)


def large_stack(kind: str) -> bytes:
    """Twenty frames of noise, with the offset table or without."""
    found = enhanced(20, Rows=512, Columns=512)
    pixels = np.random.default_rng(1).integers(0, 4096, (20, 512, 512)).astype("<u2")
    found.PixelData = pixels.tobytes()
    if kind == "native":
        return written(found)
    alone = [compressed(dataset(Rows=512, Columns=512, PixelData=frame.tobytes()), JPEGLSLossless) for frame in pixels]
    streams = [pydicom.dcmread(BytesIO(file)).PixelData for file in alone]
    frames = [next(generate_frames(stream, number_of_frames=1)) for stream in streams]
    file = encapsulated(found, JPEGLSLossless, frames)
    if kind == "offset table":
        return file
    found.PixelData = encapsulate(frames, has_bot=False)
    return written(found, JPEGLSLossless)


@pytest.mark.parametrize("jobs_url", [None], indirect=True)
@pytest.mark.parametrize("kind", ["native", "offset table", "no offset table"])
async def test_only_the_bytes_of_a_frame_are_sent(batch: Batch, kind: str) -> None:
    counting = Counting(batch.chain.transports["preprocess"].inner)
    files = {"stack.dcm": large_stack(kind)}
    series, _ = await finished(batch, files)
    batch.chain.transports["preprocess"].inner = counting
    for index in (13, 2, 19, 0):
        hu = hu_of(await batch.chain.client.get(f"{series}/slices/{index}"))
        assert np.array_equal(hu, expected_hu(files["stack.dcm"], index))
    frames = counting.sent_bytes[-4:]
    assert len(counting.sent_bytes) - 4 == (1 if kind == "native" else 2), "the headers, and compressed frames' places"
    assert max(frames) < 2 * 512 * 512 + 64 * 1024


@pytest.mark.parametrize("jobs_url", [None], indirect=True)
async def test_every_slice_has_the_picture_that_the_networks_saw(batch: Batch) -> None:
    files = {f"{index}.dcm": ct_slice(index) for index in range(3)}
    series, report = await finished(batch, files, key_images=True, operating_point="sensitive")
    sent = batch.chain.transports["preprocess"].requests
    for item in report["slices"]:
        shown = await batch.chain.client.get(f"{series}/slices/{item['index']}/image")
        pixels = np.asarray(Image.open(BytesIO(shown.content)))
        assert np.array_equal(
            pixels, apply_windows(expected_hu(files[item["file"]], 0).astype(np.int16), DEFAULT_RECIPE)
        )
    assert batch.chain.transports["preprocess"].requests == sent + 3 - len(report["key_slices"])
    assert (await problem(batch, f"{series}/slices/3/image"))[:2] == (404, "no_picture")
    assert (await problem(batch, f"{series}/slices/3"))[:2] == (404, "no_picture")


async def test_pngs_have_pictures_and_no_hounsfield_units(batch: Batch) -> None:
    files = {"a.png": picture(brain_hu=30), "b.png": picture(brain_hu=60)}
    series, report = await finished(batch, files)
    assert (await problem(batch, f"{series}/slices/0"))[:2] == (404, "no_hounsfield_units")
    for item in report["slices"]:
        shown = (await batch.chain.client.get(f"{series}/slices/{item['index']}/image")).content
        shown_pixels, sent = (np.asarray(Image.open(BytesIO(data))) for data in (shown, files[item["file"]]))
        assert np.array_equal(shown_pixels, sent)


async def test_a_series_that_is_not_assessed_has_the_slices_that_can_be_read(batch: Batch) -> None:
    files = {
        f"{index}.dcm": compressed(unsigned_slice(index, BodyPartExamined="FOOT"), JPEGLSLossless) for index in range(2)
    }
    broken = bytearray(files["1.dcm"])
    broken[-300:-100] = b"\xff" * 200
    series, report = await finished(batch, {**files, "1.dcm": bytes(broken)})
    assert report["status"] == "not_assessed"
    assert np.array_equal(hu_of(await batch.chain.client.get(f"{series}/slices/0")), expected_hu(files["0.dcm"], 0))
    for address in (f"{series}/slices/1", f"{series}/slices/1/image"):
        status, code, detail = await problem(batch, address)
        assert (status, code) == (404, "unreadable_slice")
        assert detail.startswith("1.dcm: ")


async def test_a_series_whose_files_were_removed_says_so(batch: Batch) -> None:
    """As after a cancellation between two series."""
    series, report = await finished(batch, {f"{index}.dcm": ct_slice(index) for index in range(2)})
    assert (await batch.chain.client.get(f"{series}/slices/0")).status_code == 200
    assert (await problem(batch, f"{series[:-1]}1/slices/0"))[1] == "no_report"
    job_of(batch).remove_files()
    for path in ("slices/0", "slices/1/image"):
        assert (await problem(batch, f"{series}/{path}"))[:2] == (404, "no_files")
    assert await batch.get(f"{series}/report") == report


async def test_a_failed_series_says_so(batch: Batch) -> None:
    files = {"0.dcm": ct_slice(0), "1.dcm": ct_slice(1)[:-1000]}
    series, report = await finished(batch, files)
    assert report["status"] == "failed"
    assert (await problem(batch, f"{series}/slices/0"))[:2] == (404, "no_picture")


class Away(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)


@pytest.mark.parametrize("jobs_url", [None], indirect=True)
async def test_while_preprocess_is_away_the_reader_may_try_again(batch: Batch) -> None:
    series, _ = await finished(batch, {f"{index}.dcm": ct_slice(index) for index in range(2)})
    batch.chain.transports["preprocess"].inner = Away()
    for path in ("slices/0", "slices/0/image"):
        answer = await batch.chain.client.get(f"{series}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (503, "slice_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("jobs_url", [None], indirect=True)
async def test_an_averaged_slice_has_its_own_hounsfield_units_and_the_picture_of_its_slab(
    batch: Batch, tmp_path: Path
) -> None:
    files = {
        f"{index}.dcm": ct_slice(
            index, hu=head(64) + np.int16(7 * index), PixelSpacing=[3.9, 3.9], ImagePositionPatient=[0, 0, 1.25 * index]
        )
        for index in range(10)
    }
    for name, app in stage_apps(tmp_path / "thin", MeanExtractor(), spacing_mm=(2.2, 6.0)).items():
        batch.chain.transports[name].inner = httpx.ASGITransport(app)
    series, report = await finished(batch, files)
    waited = (await batch.chain.predict(files, images=True)).json()
    assert len({item["slab"] for item in report["slices"]}) == 3
    for item, other in zip(report["slices"], waited["slices"], strict=True):
        hu = hu_of(await batch.chain.client.get(f"{series}/slices/{item['index']}"))
        assert np.array_equal(hu, expected_hu(files[item["file"]], 0))
        shown = await batch.chain.client.get(f"{series}/slices/{item['index']}/image")
        assert shown.content == base64.b64decode(other["image"])

"""Blood map, geometry and key pictures of predictions, through the real stages; the networks are fakes."""

import base64
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from services.cnn.app import create_app as create_cnn
from services.cnn.settings import Settings as CnnSettings
from services.common.card import open_bundle
from services.common.labels import SUBTYPES
from services.common.report_schemas import Report
from services.gateway.settings import Settings
from services.preprocess import png
from tests.contracts.conftest import Chain, MeanExtractor, blood_cells, open_chain, stage_apps
from tests.preprocess.dicom_files import enhanced, functional_group, macro, written
from tests.scans import ct_slice, head, picture, series

pytestmark = pytest.mark.anyio

GRID = (4, 8)


@pytest.fixture
def blood_grid() -> tuple[int, int]:
    return GRID


@pytest.fixture
def spacing_mm() -> tuple[float, float]:
    return (2.2, 6.0)


@pytest.fixture(params=["in bodies", "in shared memory"])
def gateway_settings(gateway_settings: Settings, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    folder = tmp_path / "shared" if request.param == "in shared memory" else None
    if folder:
        folder.mkdir(mode=0o700)
    return gateway_settings.model_copy(update={"shared_memory_dir": folder})


def thin(count: int) -> dict[str, bytes]:
    """Slices of different brightness, 1.25 mm apart."""
    return {
        f"{index:03d}.dcm": ct_slice(
            index,
            hu=head(64) + np.int16(index * index % 23),
            PixelSpacing=[3.9, 3.9],
            ImagePositionPatient=[0, 0, 1.25 * index],
        )
        for index in range(count)
    }


async def report_of(chain: Chain, files: dict[str, bytes], **query: Any) -> Report:
    answer = await chain.predict(files, **query)
    assert answer.status_code == 200, answer.text
    return Report.model_validate_json(answer.content)


def values(report: Report) -> NDArray[np.float32]:
    assert report.blood
    assert report.blood.data
    return np.frombuffer(base64.b64decode(report.blood.data), "<f4").reshape(report.blood.shape)


def pixels(image: str | None) -> NDArray[np.uint8]:
    assert image
    return png.decode(base64.b64decode(image))


def frames(count: int) -> bytes:
    """One file with as many slices of a head."""
    made = enhanced(count, spacing_mm=4)
    for index in range(count):
        functional_group(made, index).PixelValueTransformationSequence = macro(RescaleIntercept=-1024, RescaleSlope=1)
    return written(made)


SENT = {
    "one chunk": series(3),
    "several chunks": series(9),
    "a copy in front": {"copy.dcm": series(3)["001.dcm"], **series(3)},
    "slabs in several chunks": thin(30),
    "one slice": {"a.dcm": ct_slice()},
    "a multi-frame file": {"frames.dcm": frames(5)},
    "pictures": {"a.png": picture(), "b.png": picture(brain_hu=60)},
}


@pytest.mark.parametrize("sent", SENT)
async def test_the_row_of_each_slice_is_of_its_own_pixels(chain: Chain, sent: str) -> None:
    report = await report_of(chain, SENT[sent], blood=True, images=True)
    found = values(report)
    assert report.blood
    assert (report.blood.labels, report.blood.dtype) == (SUBTYPES, "float32")
    assert report.blood.grid.model_dump() == {"rows": 4, "columns": 8, "cell_height": 128, "cell_width": 64}
    assert len(found) == len({item.blood_row for item in report.slices})
    shown = np.stack([pixels(item.image) for item in report.slices])
    assert np.array_equal(found[[item.blood_row for item in report.slices]], blood_cells(shown, GRID))
    assert all(item.geometry for item in report.slices)


async def test_key_pictures_are_those_of_all_pictures(chain: Chain) -> None:
    for files in SENT.values():
        every = await report_of(chain, files, images=True, operating_point="sensitive")
        report = await report_of(chain, files, key_images=True, operating_point="sensitive")
        assert report.key_slices == every.key_slices != ()
        shown = [item.index for item in report.slices if item.image]
        assert shown == sorted(report.key_slices)
        assert all(report.slices[index].image == every.slices[index].image for index in shown)


async def test_a_request_without_them_asks_no_stage_for_more(chain: Chain) -> None:
    requests: list[bytes] = []
    real = chain.transports["cnn"].inner

    class Listening(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            requests.append(await request.aread())
            return await real.handle_async_request(request)

    await report_of(chain, SENT["one chunk"])  # registers shared memory
    chain.transports["cnn"].inner = Listening()
    before = chain.transports["preprocess"].requests
    plain = await report_of(chain, SENT["one chunk"])
    once = chain.transports["preprocess"].requests - before
    assert (plain.blood, {item.geometry for item in plain.slices}) == (None, {None})
    assert not any(b'"blood"' in request for request in requests)
    asked = await report_of(chain, SENT["one chunk"], blood=True)
    assert any(b'"blood"' in request for request in requests)
    assert chain.transports["preprocess"].requests - before == 2 * once
    assert asked.series == plain.series


async def test_a_bundle_without_a_map_says_so_in_the_report(tmp_path: Path, gateway_settings: Settings) -> None:
    async with open_chain(tmp_path / "plain", gateway_settings) as plain:
        report = await report_of(plain, series(3), blood=True)
    (note,) = (item for item in report.reasons if item.code == "no_blood_map")
    assert (report.status, report.blood, note.severity) == ("assessed", None, "note")
    assert "the bundle has none" in note.detail


async def test_a_map_that_is_too_large_is_left_out_by_name(tmp_path: Path, gateway_settings: Settings) -> None:
    row = 4 * 8 * 5 * 4
    settings = gateway_settings.model_copy(update={"max_blood_bytes": 8 * row})
    async with open_chain(tmp_path / "large", settings, blood_grid=GRID) as chain:
        assert values(await report_of(chain, series(8), blood=True)).shape[0] == 8
        report = await report_of(chain, series(9), blood=True)
        assert report.blood is None
        assert any("ICH_GATEWAY_MAX_BLOOD_BYTES" in item.detail for item in report.reasons)


async def test_a_series_that_is_not_assessed_has_no_map_and_keeps_its_geometry(chain: Chain) -> None:
    report = await report_of(chain, series(3, BodyPartExamined="FOOT"), blood=True, key_images=True)
    assert (report.status, report.blood, report.key_slices) == ("not_assessed", None, ())
    assert all(item.geometry for item in report.slices)


async def test_a_map_of_another_shape_is_a_fault_of_the_stage(chain: Chain) -> None:
    other = create_cnn(MeanExtractor((2, 2)), open_bundle(chain.bundle), CnnSettings())
    chain.transports["cnn"].inner = httpx.ASGITransport(other)
    answer = await chain.predict(series(3), blood=True)
    assert (answer.status_code, answer.json()["code"]) == (502, "stage_failed")


async def test_a_bundle_that_loses_its_map_is_noticed(chain: Chain, tmp_path: Path) -> None:
    assert (await report_of(chain, series(3), blood=True)).blood
    for name, app in stage_apps(tmp_path / "plain", MeanExtractor()).items():
        chain.transports[name].inner = httpx.ASGITransport(app)
    report = await report_of(chain, series(3), blood=True)
    assert (report.status, report.blood) == ("assessed", None)
